#include "lifecycle/state_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace callgate {
namespace {

namespace fs = std::filesystem;

enum class Sticky { may_be_written, does_not_help };

// False where there is nothing.
Result<bool> check_one(const std::string& path, Sticky sticky) {
    struct stat status;
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return false;
        return Error::system("stat", path, errno);
    }
    if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
        return Error::refused(
            path, "belongs to user " + std::to_string(status.st_uid) + ", who could change what the agent keeps; chown root it");
    }
    const bool is_safe = sticky == Sticky::may_be_written && S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX);
    // A link has no mode of its own.
    if (!is_safe && !S_ISLNK(status.st_mode) && (status.st_mode & (S_IWGRP | S_IWOTH))) {
        return Error::refused(path,
                              "can be written by others than its owner, who could change what the agent keeps; chmod go-w it");
    }
    return true;
}

}  // namespace

Status check_state_directory(const std::string& path) {
    std::error_code error;
    const fs::path real = fs::weakly_canonical(path, error);
    if (error) return Error::system("realpath", path, error.value());
    fs::path above;
    for (const fs::path& name : real) {
        if (name.empty()) continue;
        above /= name;
        if (above != real && !TRY(check_one(above.string(), Sticky::may_be_written))) return {};
    }
    if (!TRY(check_one(real.string(), Sticky::does_not_help))) return {};
    fs::directory_iterator entries(real, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
        TRY_VOID(check_one(entries->path().string(), Sticky::does_not_help));
    }
    // ENOTDIR is told by who opens the first file in it.
    return {};
}

}  // namespace callgate
