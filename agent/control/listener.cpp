#include "control/listener.h"

#include <cerrno>

#include "control/address.h"

namespace callgate {
namespace {

constexpr int kBacklog = 64;

Status make_directory_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos || slash == 0) return {};
    const std::string directory = path.substr(0, slash);
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) return Error::system("mkdir", directory, errno);
    return {};
}

// Only a socket that nobody listens on is removed.
Status remove_stale(const std::string& path, const sockaddr_un& address) {
    struct stat status;
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return {};
        return Error::system("stat", path, errno);
    }
    if (!S_ISSOCK(status.st_mode)) {
        return Error::refused(path, "is there and is no socket; remove it or choose another control socket");
    }
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

Result<ControlListener> ControlListener::bind(const std::string& path) {
    const sockaddr_un address = TRY(control_address(path));
    TRY_VOID(make_directory_of(path));
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
