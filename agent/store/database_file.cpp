#include "store/database_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/fd.h"

namespace callgate {
namespace {

Status check_status(const struct stat& status, const std::string& path) {
    if (S_ISLNK(status.st_mode))
        return Error::refused(path, "is a symbolic link; put the file itself there, or move the link away");
    if (!S_ISREG(status.st_mode)) return Error::refused(path, "is no file; move it away");
    if (status.st_mode & (S_IRWXG | S_IRWXO))
        return Error::refused(path, "can be read or written by others than its owner; chmod 0600 it");
    return {};
}

}  // namespace

Status check_database_file(const std::string& path) {
    struct stat status;
    if (::lstat(path.c_str(), &status) == 0) return check_status(status, path);
    return errno == ENOENT ? Status() : Error::system("stat", path, errno);
}

Status make_database_file(const std::string& path) {
    TRY_VOID(check_database_file(path));
    const Fd file = Fd::adopt(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return Error::system("open", path, errno);
    struct stat status;
    if (::fstat(file.get(), &status) != 0) return Error::system("fstat", path, errno);
    return check_status(status, path);
}

}  // namespace callgate
