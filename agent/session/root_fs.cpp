#include "session/root_fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <string_view>

namespace callgate {
namespace {

// Renames going on elsewhere make RESOLVE_IN_ROOT answer EAGAIN.
constexpr int kOpenAttemptsMax = 4;

std::optional<std::string> printed_path(int fd) {
    char link[40];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    char text[PATH_MAX];
    ssize_t length = ::readlink(link, text, sizeof(text));
    if (length <= 0 || length == static_cast<ssize_t>(sizeof(text))) return std::nullopt;
    return std::string(text, static_cast<size_t>(length));
}

Fd reopen(int path_fd, int flags) {
    char link[40];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
    return Fd::adopt(::open(link, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

}  // namespace

Result<RootFs> RootFs::open(const std::string& root) {
    const std::string path = root.empty() ? "/" : root;
    Fd fd = Fd::adopt(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return Error::system("open", path, errno);
    std::string prefix = root.empty() ? "/" : printed_path(fd.get()).value_or("/");
    if (prefix == "/") prefix.clear();
    return RootFs(std::move(fd), std::move(prefix));
}

std::optional<RootFs::Found> RootFs::find(const std::string& path) const {
    if (is_spent_ || lookups_left_ == 0) {
        is_spent_ = true;
        return std::nullopt;
    }
    --lookups_left_;
    struct open_how how = {};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    for (int attempt = 0; attempt < kOpenAttemptsMax; ++attempt) {
        Fd fd = Fd::adopt(static_cast<int>(::syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof(how))));
        if (!fd && errno == EAGAIN) continue;
        Found found;
        if (!fd || ::fstat(fd.get(), &found.status) != 0) return std::nullopt;
        found.fd = std::move(fd);
        return found;
    }
    return std::nullopt;
}

std::optional<std::string> RootFs::resolve(const std::string& path) const {
    std::optional<Found> found = find(path);
    if (!found) return std::nullopt;
    std::optional<std::string> printed = printed_path(found->fd.get());
    if (!printed) return std::nullopt;
    return inside(std::move(*printed));
}

std::vector<std::string> RootFs::list(const std::string& path, size_t names_max) const {
    std::vector<std::string> names;
    std::optional<Found> found = find(path);
    if (!found || !S_ISDIR(found->status.st_mode)) return names;
    Fd fd = reopen(found->fd.get(), O_RDONLY | O_DIRECTORY);
    if (!fd) return names;
    DIR* directory = ::fdopendir(fd.get());
    if (directory == nullptr) return names;
    fd.release();  // the DIR owns it
    while (names.size() < names_max) {
        const dirent* entry = ::readdir(directory);
        if (entry == nullptr) break;
        std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
    ::closedir(directory);
    return names;
}

std::optional<std::string> RootFs::read(const std::string& path, size_t bytes_max) const {
    std::optional<Found> found = find(path);
    if (!found) return std::nullopt;
    const auto bytes = static_cast<size_t>(found->status.st_size);
    if (bytes <= bytes_max && bytes > bytes_left_) is_spent_ = true;
    if (is_spent_) return std::nullopt;
    std::optional<std::string> text = read(*found, bytes_max);
    if (text) bytes_left_ -= text->size();
    return text;
}

std::optional<std::string> RootFs::read(const Found& found, size_t bytes_max) {
    if (!S_ISREG(found.status.st_mode) || static_cast<size_t>(found.status.st_size) > bytes_max) return std::nullopt;
    Fd fd = reopen(found.fd.get(), O_RDONLY);
    if (!fd) return std::nullopt;
    std::string text(static_cast<size_t>(found.status.st_size), '\0');
    size_t filled = 0;
    while (filled < text.size()) {
        ssize_t got = ::read(fd.get(), text.data() + filled, text.size() - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::nullopt;
        if (got == 0) break;  // it shrank meanwhile
        filled += static_cast<size_t>(got);
    }
    text.resize(filled);
    return text;
}

Fd RootFs::open_for_reading(const Found& found) {
    return S_ISREG(found.status.st_mode) ? reopen(found.fd.get(), O_RDONLY) : Fd();
}

std::string RootFs::inside(std::string host_path) const {
    if (prefix_.empty() || host_path.compare(0, prefix_.size(), prefix_) != 0) return host_path;
    if (host_path.size() == prefix_.size()) return "/";
    if (host_path[prefix_.size()] != '/') return host_path;
    return host_path.substr(prefix_.size());
}

std::string absolute_path(const std::string& path, const std::string& base) {
    const std::string joined = !path.empty() && path[0] == '/' ? path : base + "/" + path;
    std::string clean;
    std::string_view rest = joined;
    while (!rest.empty()) {
        size_t slash = rest.find('/');
        std::string_view part = rest.substr(0, slash);
        rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
        if (part.empty() || part == ".") continue;
        if (part == "..") {
            size_t last = clean.rfind('/');
            clean.resize(last == std::string::npos ? 0 : last);
            continue;
        }
        clean += '/';
        clean += part;
    }
    return clean.empty() ? "/" : clean;
}

std::string parent_directory(const std::string& path) {
    size_t slash = path.rfind('/');
    return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

std::string base_name(const std::string& path) {
    size_t slash = path.rfind('/');
    return slash == std::string::npos ? path : path.substr(slash + 1);
}

}  // namespace callgate
