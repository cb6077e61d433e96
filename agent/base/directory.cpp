#include "base/directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace callgate {

bool is_absent(const std::string& path) { return ::access(path.c_str(), F_OK) != 0 && errno == ENOENT; }

std::string directory_of(const std::string& file) {
    const size_t slash = file.rfind('/');
    if (slash == std::string::npos) return ".";
    const size_t end = file.find_last_not_of('/', slash);
    return end == std::string::npos ? "/" : file.substr(0, end + 1);
}

Status make_directory_of(const std::string& file, mode_t mode) {
    const std::string directory = directory_of(file);
    if (::mkdir(directory.c_str(), mode) != 0 && errno != EEXIST) return Error::system("mkdir", directory, errno);
    return {};
}

Status check_directory_of(const std::string& file) {
    const std::string directory = directory_of(file);
    struct stat status;
    if (::stat(directory.c_str(), &status) == 0) {
        if (S_ISDIR(status.st_mode)) return {};
        return Error::refused(directory, "is no directory; move it away or choose another path");
    }
    const int code = errno;
    // A link that leads nowhere is there, and so nothing is made.
    const bool can_be_made = code == ENOENT && ::lstat(directory.c_str(), &status) != 0 && errno == ENOENT;
    if (!can_be_made) return Error::system("stat", directory, code);
    if (::access((directory_of(directory) + "/.").c_str(), W_OK | X_OK) != 0) return Error::system("mkdir", directory, errno);
    return {};
}

}  // namespace callgate
