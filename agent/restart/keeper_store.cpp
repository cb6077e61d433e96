#include "restart/keeper_store.h"

#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace callgate {
namespace {

constexpr size_t kMessageBytesMax = 4096;
constexpr size_t kDescriptorsMax = 253;  // SCM_MAX_FD

struct Received {
    pid_t pid = 0;
    std::vector<Fd> fds;
};

Received controls_of(msghdr& message) {
    Received received;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET) continue;
        if (header->cmsg_type == SCM_CREDENTIALS) {
            ucred sender;
            memcpy(&sender, CMSG_DATA(header), sizeof(sender));
            received.pid = sender.pid;
        }
        if (header->cmsg_type != SCM_RIGHTS) continue;
        for (size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
            received.fds.push_back(Fd::adopt(fd));
        }
    }
    return received;
}

}  // namespace

// Abstract, so that no directory must be writable and nothing is left behind. Who may speak is seen from the
// sender's pid.
Result<KeeperStore> KeeperStore::create() {
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random)) return Error::system("getrandom", "", errno);
    char name[64];
    snprintf(name, sizeof(name), "@callgate-keeper-%016llx", static_cast<unsigned long long>(random));
    Fd socket = Fd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return Error::system("socket", "notify", errno);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, name, strlen(name));
    address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + strlen(name));
    if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length)) return Error::system("bind", name, errno);
    const int on = 1;
    if (setsockopt(socket.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
        return Error::system("setsockopt SO_PASSCRED", name, errno);
    return KeeperStore(std::move(socket), name);
}

bool KeeperStore::has(std::string_view name) const {
    return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.name == name; });
}

void KeeperStore::receive(pid_t sender) {
    for (;;) {
        char text[kMessageBytesMax];
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(kDescriptorsMax * sizeof(int))];
        iovec place{text, sizeof(text)};
        msghdr message{};
        message.msg_iov = &place;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        const ssize_t got = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return;
        Received received = controls_of(message);
        if (received.pid != sender || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) continue;
        apply({text, static_cast<size_t>(got)}, std::move(received.fds));
    }
}

void KeeperStore::apply(std::string_view message, std::vector<Fd> fds) {
    bool stores = false, removes = false;
    std::string name = "stored";
    while (!message.empty()) {
        const std::string_view line = message.substr(0, message.find('\n'));
        message.remove_prefix(std::min(line.size() + 1, message.size()));
        stores |= line == "FDSTORE=1";
        removes |= line == "FDSTOREREMOVE=1";
        is_ready_ |= line == "READY=1";
        is_alive_ |= line == "WATCHDOG=1";
        if (line.starts_with("FDNAME=")) name = line.substr(strlen("FDNAME="));
    }
    if (removes) std::erase_if(entries_, [&](const Entry& entry) { return entry.name == name; });
    if (!stores) return;
    for (Fd& fd : fds)
        if (entries_.size() < kEntriesMax) entries_.push_back({name, std::move(fd)});
}

}  // namespace callgate
