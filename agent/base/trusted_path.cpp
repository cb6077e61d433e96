#include "base/trusted_path.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <filesystem>
#include <optional>

#include "base/directory.h"

namespace callgate {
namespace {

namespace fs = std::filesystem;

// As many as the kernel follows (path_resolution(7)).
constexpr int kLinksMax = 40;
constexpr char kElsewhere[] = "keep it below directories of root's, such as /etc";

// None where there is nothing.
Result<std::optional<struct stat>> status_of(const std::string& path) {
    struct stat status;
    if (::lstat(path.c_str(), &status) == 0) return std::optional(status);
    if (errno == ENOENT) return std::optional<struct stat>();
    return Error::system("stat", path, errno);
}

Status check_owner_of(const struct stat& status, const std::string& path, const std::string& remedy) {
    if (status.st_uid == 0 || status.st_uid == ::geteuid()) return {};
    return Error::refused(
        path, "belongs to user " + std::to_string(status.st_uid) + ", who could change what the agent goes by; " + remedy);
}

bool is_mounted_read_only(const std::string& path) {
    struct statvfs mount;
    return ::statvfs(path.c_str(), &mount) == 0 && (mount.f_flag & ST_RDONLY);
}

// Not only for this process, whose service may see read-only what others can write (ProtectSystem= in systemd.exec(5)): the first
// process of the host has no such view. What it has elsewhere, as a volume of a pod, it alone decides on.
bool is_read_only(const std::string& path) {
    if (!is_mounted_read_only(path)) return false;
    std::error_code error;
    const std::string there = "/proc/1/root" + fs::absolute(path, error).string();
    struct stat own, first;
    if (error || ::stat(path.c_str(), &own) != 0 || ::stat(there.c_str(), &first) != 0) return true;
    return own.st_dev != first.st_dev || own.st_ino != first.st_ino || is_mounted_read_only(there);
}

Status check_mode_of(const struct stat& status, const std::string& path, const std::string& remedy) {
    if (S_ISLNK(status.st_mode) || !(status.st_mode & (S_IWGRP | S_IWOTH)) || is_read_only(path)) return {};
    return Error::refused(path, "can be written by others than its owner, who could change what the agent goes by; " + remedy);
}

// One that the path leads through, or ends in.
Status check_directory(const std::string& path, Writers writers) {
    const std::optional<struct stat> status = TRY(status_of(path));
    if (!status) return {};
    TRY_VOID(check_owner_of(*status, path, kElsewhere));
    struct stat checked = *status;
    if (writers == Writers::of_others) checked.st_mode &= ~mode_t{S_IWGRP};
    return checked.st_mode & S_ISVTX ? Status() : check_mode_of(checked, path, "chmod go-w it");
}

void put_before(std::deque<std::string>& names, const fs::path& path) {
    std::deque<std::string> before;
    for (const fs::path& name : path.relative_path())
        if (!name.empty() && name != ".") before.push_back(name.string());
    names.insert(names.begin(), before.begin(), before.end());
}

// Where the path leads, name by name: each link on it is as good as who owns it and who can write the directory that it lies in.
// Empty where something on it is not there. What it ends in is not looked at.
Result<fs::path> walk(const std::string& path, Writers writers) {
    std::error_code error;
    const fs::path whole = fs::absolute(path, error);
    if (error) return Error::system("getcwd", path, error.value());
    fs::path at = "/";
    std::deque<std::string> names;
    put_before(names, whole);
    for (int links = 0; !names.empty();) {
        TRY_VOID(check_directory(at.string(), writers));
        const fs::path name = names.front();
        names.pop_front();
        const fs::path next = name == ".." ? at.parent_path() : at / name;
        const std::optional<struct stat> status = TRY(status_of(next.string()));
        if (!status) return fs::path();
        if (!S_ISLNK(status->st_mode)) {
            at = next;
            continue;
        }
        TRY_VOID(check_owner_of(*status, next.string(), kElsewhere));
        if (++links > kLinksMax) return Error::system("open", path, ELOOP);
        const fs::path target = fs::read_symlink(next, error);
        if (error) return Error::system("readlink", next.string(), error.value());
        if (target.is_absolute()) at = "/";
        put_before(names, target);
    }
    return at;
}

}  // namespace

Status check_owner(const std::string& path) {
    const std::optional<struct stat> status = TRY(status_of(path));
    return status ? check_owner_of(*status, path, "chown root it") : Status();
}

Status check_trusted(const std::string& path) {
    const std::optional<struct stat> status = TRY(status_of(path));
    if (!status) return {};
    TRY_VOID(check_owner_of(*status, path, "chown root it"));
    return check_mode_of(*status, path, "chmod go-w it");
}

Status check_trusted_path(const std::string& path) {
    const fs::path real = TRY(walk(path, Writers::of_group_and_others));
    return real.empty() ? Status() : check_trusted(real.string());
}

Status check_trusted_place(const std::string& path, Writers writers) {
    const std::string directory = directory_of(path);
    const fs::path real = TRY(walk(directory, writers));
    return real.empty() ? Status() : check_directory(real.string(), writers);
}

}  // namespace callgate
