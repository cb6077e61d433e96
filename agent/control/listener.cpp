#include "control/listener.h"

#include <cerrno>

#include "base/directory.h"
#include "control/address.h"

namespace callgate {
namespace {

constexpr int kBacklog = 64;
constexpr mode_t kDirectoryMode = 0755;

// Whether there is a socket; what else is there is an error.
Result<bool> has_socket(const std::string& path) {
    struct stat status;
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return false;
        return Error::system("stat", path, errno);
    }
    if (!S_ISSOCK(status.st_mode)) {
        return Error::refused(path, "is there and is no socket; remove it or choose another control socket");
    }
    return true;
}

// Only a socket that nobody listens on is removed.
Status remove_stale(const std::string& path, const sockaddr_un& address) {
    if (!TRY(has_socket(path))) return {};
    const Fd probe = Fd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!probe) return Error::system("socket", path, errno);
    if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 || errno == EAGAIN) {
        return Error::refused(path, "an agent is already running here; stop it or choose another control socket");
    }
    if (errno != ECONNREFUSED) return Error::system("connect", path, errno);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return Error::system("unlink", path, errno);
    return {};
}

}  // namespace

Status ControlListener::check(const std::string& path) {
    TRY_VOID(control_address(path));
    TRY_VOID(has_socket(path));
    return {};
}

Result<ControlListener> ControlListener::bind(const std::string& path) {
    const sockaddr_un address = TRY(control_address(path));
    TRY_VOID(make_directory_of(path, kDirectoryMode));
    TRY_VOID(remove_stale(path, address));
    Fd fd = Fd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return Error::system("socket", path, errno);
    // Before bind(): the file is made with the mode of the socket's own inode.
    struct stat status;
    if (::fchmod(fd.get(), 0600) != 0) return Error::system("fchmod", path, errno);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        return Error::system("bind", path, errno);
    }
    if (::lstat(path.c_str(), &status) != 0) return Error::system("stat", path, errno);
    ControlListener listener(path, std::move(fd), status.st_dev, status.st_ino);
    if (::listen(listener.fd(), kBacklog) != 0) return Error::system("listen", path, errno);
    return listener;
}

ControlListener::~ControlListener() {
    struct stat status;
    if (fd_ && ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_) {
        ::unlink(path_.c_str());
    }
}

}  // namespace callgate
