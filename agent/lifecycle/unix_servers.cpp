#include "lifecycle/unix_servers.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>

#include "lifecycle/request_start.h"

namespace callgate {
namespace {

cg_peer peer_of(int fd) {
    ucred peer{};
    socklen_t length = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length)) return {};
    return {static_cast<uint32_t>(peer.pid), peer.uid};
}

cg_peer peer_of_connection(const cg_event& event) {
    auto pidfd = open_pidfd(static_cast<pid_t>(event.tgid));
    auto copy = pidfd ? fetch_descriptor(*pidfd, event.hold.fd) : pidfd.error();
    return copy ? peer_of(copy->get()) : cg_peer{};
}

// Messages on lines, as on stdio; HTTP and other protocols never begin so.
bool begins_message(std::string_view bytes) {
    size_t start = bytes.find_first_not_of(" \t\r\n");
    return start != std::string_view::npos && (bytes[start] == '{' || bytes[start] == '[');
}

// A line that may hold a message begins after some other one.
bool may_begin_message_within(std::string_view bytes) {
    for (size_t at = bytes.find_first_of("\r\n"); at != std::string_view::npos; at = bytes.find_first_of("\r\n", at + 1))
        if (begins_message(bytes.substr(at))) return true;
    return false;
}

// Of what passed, so that neither a line's end nor kHttpWord is missed where it comes in two reads.
constexpr size_t kTailBytes = 64;

}  // namespace

void UnixServers::look_at(pid_t pid, const BoundUnixSocket& socket, bool adopted) {
    auto server = identify_server(pid);
    if (!server) return;
    server->listens = {"unix:" + socket.path};
    PolicyStore::Match match = help_.find_policy(*server);
    if (!match.policy) return;
    auto listener =
        std::make_shared<UnixListener>(UnixListener{socket.path, socket.file_inode, std::move(*server), match, adopted});
    if (!socket.file_inode)
        return help_.report_blind(pid, *listener, "its file is no longer where it was bound: its connections cannot be told");
    if (Status watched = channels_.watch_listener(socket.file_inode); !watched)
        return help_.report_blind(pid, *listener, watched.error().text());
    listeners_[socket.file_inode] = listener;
    events_.governed(listener);
}

void UnixServers::scan(const Scope& scope, const std::function<void()>& between) {
    std::vector<BoundUnixSocket> accepted;
    for (pid_t pid : processes_in_scope(scope)) {
        for (BoundUnixSocket& socket : bound_unix_sockets(pid)) {
            if (!socket.listens) {
                accepted.push_back(std::move(socket));
            } else if (!listeners_.count(socket.file_inode)) {
                look_at(pid, socket, true);
            }
        }
        between();
    }
    for (const BoundUnixSocket& socket : accepted)
        if (listeners_.count(socket.file_inode)) earlier_[socket.channel];
}

void UnixServers::on_listen(const cg_event& event) {
    auto pid = static_cast<pid_t>(event.tgid);
    // Where another process listens there too, or on a file with the same number elsewhere, nothing is forgotten of the
    // first: whoever that is, it cannot make connections pass unjudged.
    auto known = listeners_.find(event.channel.inode);
    bool again = known != listeners_.end() && known->second->server.process.pid == pid;
    if (auto socket = again ? std::nullopt : bound_unix_socket(pid, event.hold.fd)) {
        socket->file_inode = event.channel.inode;  // whatever its path leads to by now
        look_at(pid, *socket, false);
    }
    channels_.release(static_cast<pid_t>(event.tid));
}

void UnixServers::pass(const cg_event& event) {
    cg_channel mark{CG_PASS, CG_KIND_UNIX, event.tgid, 0, event.channel};
    (void)channels_.watch(event.channel, mark);
}

std::shared_ptr<const UnixListener> UnixServers::listener_of(const cg_event& event) {
    auto socket = bound_unix_socket(static_cast<pid_t>(event.tgid), event.hold.fd);
    if (!socket || !(socket->channel == event.channel)) return nullptr;
    auto found = listeners_.find(socket->file_inode);
    if (found != listeners_.end()) return found->second;
    // Its file has gone or been replaced: the name is what is left.
    for (const auto& [inode, listener] : listeners_)
        if (listener->path == socket->path) return listener;
    return nullptr;
}

void UnixServers::on_read(const cg_event& event, StoppedThread thread, const std::optional<Error>& refused) {
    auto listener = listener_of(event);
    if (!listener) return pass(event);
    auto pid = static_cast<pid_t>(event.tgid);
    auto give_up = [&](std::string reason) {
        pass(event);
        help_.report_blind(pid, *listener, std::move(reason));
    };
    if (refused || !thread.tracee) return give_up(refused ? refused->text() : "its reader cannot be stopped");
    auto bytes = peek_read(event.hold, event.hold.result);
    if (!bytes) return give_up(bytes.error().text());
    if (auto earlier = earlier_.find(event.channel); earlier != earlier_.end()) {
        std::string& tail = earlier->second;
        tail += *bytes;
        // The rest of a request that was under way, unless another one may begin in it: then nobody can say what is whose.
        bool begins = begins_request(*bytes) || begins_message(*bytes);
        if (!begins && !names_http(tail) && !may_begin_message_within(tail)) {
            tail.erase(0, tail.size() - std::min(tail.size(), kTailBytes));
            return;
        }
        earlier_.erase(earlier);
        if (!begins) {
            auto cut = take_over({pid, event.channel, event.channel}, thread, help_.takeover);
            return cut ? events_.cut(listener) : give_up(cut.error().text());
        }
    }
    if (begins_message(*bytes)) return help_.take_lines(event, std::move(thread), *listener, peer_of_connection(event));
    auto taken = take_over({pid, event.channel, event.channel}, thread, help_.takeover);
    if (!taken) return give_up(taken.error().text());
    UnixConnection connection{listener, std::move(taken->from_client), std::move(taken->to_server), {}, std::move(taken->unread)};
    connection.peer = peer_of(connection.client.get());
    int flags = fcntl(connection.client.get(), F_GETFL);
    if (flags >= 0) (void)fcntl(connection.client.get(), F_SETFL, flags & ~O_NONBLOCK);
    events_.connection(std::move(connection));
}

void UnixServers::on_expired(const cg_event& event) {
    if (auto listener = listener_of(event))
        help_.report_blind(static_cast<pid_t>(event.tgid), *listener,
                           "the hold ran out: the first bytes of a connection were read before they could be judged");
}

}  // namespace callgate
