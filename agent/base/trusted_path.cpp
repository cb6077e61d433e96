#include "base/trusted_path.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>

namespace callgate {
namespace {

namespace fs = std::filesystem;

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

bool is_read_only(const std::string& path) {
    struct statvfs mount;
    return ::statvfs(path.c_str(), &mount) == 0 && (mount.f_flag & ST_RDONLY);
}

Status check_mode_of(const struct stat& status, const std::string& path, const std::string& remedy) {
    if (S_ISLNK(status.st_mode) || !(status.st_mode & (S_IWGRP | S_IWOTH)) || is_read_only(path)) return {};
    return Error::refused(path, "can be written by others than its owner, who could change what the agent goes by; " + remedy);
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
    std::error_code error;
    const fs::path real = fs::weakly_canonical(path, error);
    if (error) return Error::system("realpath", path, error.value());
    fs::path above;
    for (const fs::path& name : real) {
        if (name.empty()) continue;
        above /= name;
        if (above == real) break;
        const std::optional<struct stat> status = TRY(status_of(above.string()));
        if (!status) return {};
        TRY_VOID(check_owner_of(*status, above.string(), kElsewhere));
        if (!(status->st_mode & S_ISVTX)) TRY_VOID(check_mode_of(*status, above.string(), "chmod go-w it"));
    }
    return check_trusted(above.string());
}

}  // namespace callgate
