#include "policy/policy_file.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/limits.h"
#include "base/trusted_path.h"

namespace callgate {
namespace {

// A link that leads to a file in a directory below the link's own, as those of a Kubernetes ConfigMap do
// (x.json -> ..data/x.json): whoever can write there could write here. Nothing but that is followed.
Fd open_linked(const std::string& path) {
    const size_t slash = path.rfind('/');
    const std::string directory = slash == path.npos ? "." : path.substr(0, slash + 1);
    std::array<char, PATH_MAX> target;
    const ssize_t length = readlink(path.c_str(), target.data(), target.size());
    if (length <= 0 || std::find(target.data(), target.data() + length, '/') == target.data() + length) return {};
    const Fd place = Fd::adopt(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    const std::string name = path.substr(slash == path.npos ? 0 : slash + 1);
    Fd file = Fd::adopt(static_cast<int>(syscall(SYS_openat2, place.get(), name.c_str(), &how, sizeof how)));
    // The directories on the way may be others': what others own is not followed.
    struct stat status;
    const bool is_ours = file && fstat(file.get(), &status) == 0 && (status.st_uid == 0 || status.st_uid == geteuid());
    return is_ours ? std::move(file) : Fd();
}

PolicyFile refused(std::string problem) { return {std::nullopt, std::move(problem)}; }
PolicyFile unreadable(int code) { return refused("cannot be read: " + std::string(strerror(code))); }

}  // namespace

PolicyFile read_policy_file(const std::string& path) {
    // O_NONBLOCK: a FIFO of that name must not hold up the start.
    Fd file = Fd::adopt(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    if (!file && errno == ELOOP) {
        file = open_linked(path);
        if (!file) return refused("is a symbolic link, not a regular file; put the policy itself in its place");
    }
    struct stat status;
    if (!file || fstat(file.get(), &status) != 0) return unreadable(errno);
    if (S_ISDIR(status.st_mode)) return refused("is a directory, not a regular file; name its files, as in " + path + "/*.json");
    if (!S_ISREG(status.st_mode)) return refused("is not a regular file; put the policy into one");
    PolicyFile found;
    if (status.st_mode & (S_IWGRP | S_IWOTH)) found.problem = "can be written by others than its owner; chmod go-w it";
    std::string& text = found.text.emplace();
    char buffer[65536];
    for (;;) {
        const ssize_t got = read(file.get(), buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return unreadable(errno);
        if (got == 0) return found;
        text.append(buffer, static_cast<size_t>(got));
        if (text.size() > kPolicyFileBytesMax)
            return refused("is larger than 16 MiB, which no policy needs; split it into one file for each server");
    }
}

PolicyFile read_governing_file(const std::string& path) {
    PolicyFile file = read_policy_file(path);
    if (const Status owned = check_owner(path); !owned && file.problem.empty()) file.problem = owned.error().what;
    return file;
}

}  // namespace callgate
