#include "kernel/process_sockets.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

#include "kernel/proc.h"
#include "kernel/tcp_state.h"

namespace callgate {
namespace {

// SIOCUNIXFILE of linux/un.h, which does not go together with sys/un.h: unix(7)'s file as a descriptor (O_PATH).
constexpr unsigned long kOpenBoundFile = SIOCPROTOPRIVATE;

int option(int fd, int level, int name) {
    int value = 0;
    socklen_t length = sizeof(value);
    return getsockopt(fd, level, name, &value, &length) ? 0 : value;
}

Fd namespace_of_socket(int fd) { return Fd::adopt(ioctl(fd, SIOCGSKNS)); }

uint64_t cookie_of(int fd) {
    uint64_t cookie = 0;
    socklen_t length = sizeof(cookie);
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) ? 0 : cookie;
}

// Calls `each` with the descriptor and a copy of every IPv4 or IPv6 stream socket of a process.
template <typename Each>
void for_each_stream_socket(pid_t pid, Each each) {
    auto pidfd = open_pidfd(pid);
    if (!pidfd) return;
    for (const ProcessDescriptor& descriptor : all_channels(pid)) {
        if (descriptor.kind == ChannelKind::pipe) continue;
        auto copy = fetch_descriptor(*pidfd, descriptor.number);
        if (!copy) continue;
        int family = option(copy->get(), SOL_SOCKET, SO_DOMAIN);
        if (family != AF_INET && family != AF_INET6) continue;
        if (option(copy->get(), SOL_SOCKET, SO_TYPE) == SOCK_STREAM) each(descriptor, std::move(*copy));
    }
}

// The name that it is bound to; an abstract one begins with NUL. Empty where it has none.
std::string bound_name(int fd) {
    sockaddr_un address{};
    socklen_t length = sizeof(address);
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length)) return {};
    const size_t offset = offsetof(sockaddr_un, sun_path);
    if (length <= offset) return {};
    const std::string name(address.sun_path, length - offset);
    return name[0] ? name.substr(0, name.find('\0')) : name;
}

}  // namespace

uint32_t namespace_inode(const Fd& netns) {
    struct stat status;
    return fstat(netns.get(), &status) ? 0 : static_cast<uint32_t>(status.st_ino);
}

std::vector<ListeningSocket> listening_sockets(pid_t pid) {
    std::vector<ListeningSocket> found;
    for_each_stream_socket(pid, [&](const ProcessDescriptor&, Fd copy) {
        int fd = copy.get();
        if (!option(fd, SOL_SOCKET, SO_ACCEPTCONN)) return;
        auto address = SocketAddress::local_of(fd);
        if (!address) return;
        ListeningSocket socket;
        socket.cookie = cookie_of(fd);
        socket.address = address->in_namespace(namespace_inode(namespace_of_socket(fd)));
        socket.dual = address->family() == AF_INET6 && is_any(socket.address) && !option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
        socket.bound_device = static_cast<uint32_t>(option(fd, SOL_SOCKET, SO_BINDTOIFINDEX));
        socket.socket = std::move(copy);
        found.push_back(std::move(socket));
    });
    return found;
}

std::vector<ConnectedSocket> connected_sockets(pid_t pid) {
    std::vector<ConnectedSocket> found;
    for_each_stream_socket(pid, [&](const ProcessDescriptor& descriptor, Fd copy) {
        auto state = tcp_state(copy.get());
        if (!state || !state->established) return;
        auto local = SocketAddress::local_of(copy.get()), remote = SocketAddress::remote_of(copy.get());
        if (!local || !remote) return;
        uint32_t netns = namespace_inode(namespace_of_socket(copy.get()));
        found.push_back({descriptor.channel, netns, *local, *remote, std::move(copy)});
    });
    return found;
}

std::optional<ConnectedSocket> connected_socket(pid_t pid, int fd) {
    auto pidfd = open_pidfd(pid);
    auto copy = pidfd ? fetch_descriptor(*pidfd, fd) : pidfd.error();
    if (!copy) return std::nullopt;
    int family = option(copy->get(), SOL_SOCKET, SO_DOMAIN);
    if (family != AF_INET && family != AF_INET6) return std::nullopt;
    auto local = SocketAddress::local_of(copy->get()), remote = SocketAddress::remote_of(copy->get());
    if (!local || !remote) return std::nullopt;
    uint32_t netns = namespace_inode(namespace_of_socket(copy->get()));
    return ConnectedSocket{channel_of(pid, fd).channel, netns, *local, *remote, std::move(*copy)};
}

std::optional<BoundUnixSocket> bound_unix_socket(pid_t pid, int fd) {
    auto pidfd = open_pidfd(pid);
    auto copy = pidfd ? fetch_descriptor(*pidfd, fd) : pidfd.error();
    if (!copy || option(copy->get(), SOL_SOCKET, SO_DOMAIN) != AF_UNIX) return std::nullopt;
    const int type = option(copy->get(), SOL_SOCKET, SO_TYPE);
    if (type != SOCK_STREAM && type != SOCK_SEQPACKET) return std::nullopt;
    BoundUnixSocket socket;
    socket.path = bound_name(copy->get());
    if (socket.path.empty()) return std::nullopt;
    socket.packets = type == SOCK_SEQPACKET;
    socket.abstract = socket.path[0] == '\0';
    if (socket.abstract) socket.path[0] = '@';
    socket.channel = channel_of(pid, fd).channel;
    socket.listens = option(copy->get(), SOL_SOCKET, SO_ACCEPTCONN);
    // The file itself, wherever it is by now: its path may lead nowhere, or to another server's.
    const Fd file = Fd::adopt(socket.abstract ? -1 : ioctl(copy->get(), kOpenBoundFile));
    struct stat status;
    if (file && fstat(file.get(), &status) == 0) socket.file_inode = status.st_ino;
    return socket;
}

std::vector<BoundUnixSocket> bound_unix_sockets(pid_t pid) {
    std::vector<BoundUnixSocket> found;
    for (const ProcessDescriptor& descriptor : all_channels(pid)) {
        if (descriptor.kind == ChannelKind::pipe) continue;
        if (auto socket = bound_unix_socket(pid, descriptor.number)) found.push_back(std::move(*socket));
    }
    return found;
}

Result<Fd> open_namespace(pid_t pid, pid_t tid, uint32_t inode, uint64_t cookie) {
    std::string path = proc_path(pid, "task/") + std::to_string(tid) + "/ns/net";
    Fd netns = Fd::adopt(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (netns && namespace_inode(netns) == inode) return netns;
    netns.reset();
    // Nothing here may wait for the socket's lock: its owner may be held inside listen(2).
    for_each_stream_socket(pid, [&](const ProcessDescriptor&, Fd copy) {
        if (!netns && cookie_of(copy.get()) == cookie) netns = namespace_of_socket(copy.get());
    });
    if (netns && namespace_inode(netns) == inode) return netns;
    if (!open_pidfd(pid)) return Error{ErrorKind::gone, 0, "process " + std::to_string(pid), "has ended"};
    return Error::invalid("network namespace " + std::to_string(inode),
                          "cannot be opened through process " + std::to_string(pid));
}

}  // namespace callgate
