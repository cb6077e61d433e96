// The stream sockets of a process, found through its descriptors: what listened and who was connected before the agent was
// there, and the port of a socket that was never bound.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/proc.h"
#include "kernel/socket_address.h"

namespace callgate {

struct ListeningSocket {
    uint64_t cookie = 0;  // SO_COOKIE: never used twice while the host is up
    cg_address address{};
    bool dual = false;  // [::] that takes IPv4 too
    uint32_t bound_device = 0;
    Fd socket;  // a copy: while it is held, the socket goes on listening
};

struct ConnectedSocket {
    cg_channel_key channel{};
    uint32_t netns = 0;
    SocketAddress local, remote;
    Fd socket;  // a copy: while it is held, the connection stays
};

std::vector<ListeningSocket> listening_sockets(pid_t pid);
// Those whose other end has not said that it is done.
std::vector<ConnectedSocket> connected_sockets(pid_t pid);
// Whatever its other end has said; empty where the descriptor is none.
std::optional<ConnectedSocket> connected_socket(pid_t pid, int fd);
// A socket of AF_UNIX that is bound, or was accepted by one that is.
struct BoundUnixSocket {
    cg_channel_key channel{};
    std::string path;         // as it was bound: in the process's own root, maybe relative; "@name" of an abstract one
    uint64_t file_inode = 0;  // of the file that it is bound to, which may have been renamed or removed; 0: not to be had
    bool listens = false;
    bool abstract = false;  // bound to no file
    bool packets = false;   // SOCK_SEQPACKET
    // Its connections can be told from others, and taken over.
    bool can_be_governed() const { return !abstract && !packets; }
};
// Empty where the descriptor is none.
std::optional<BoundUnixSocket> bound_unix_socket(pid_t pid, int fd);
std::vector<BoundUnixSocket> bound_unix_sockets(pid_t pid);

// The inode number of a namespace behind an open descriptor; 0 where it is none.
uint32_t namespace_inode(const Fd& netns);
// The network namespace of a thread, if it is the one that is asked for; else that of the socket with this cookie (made
// before the thread went elsewhere).
Result<Fd> open_namespace(pid_t pid, pid_t tid, uint32_t inode, uint64_t cookie);

}  // namespace callgate
