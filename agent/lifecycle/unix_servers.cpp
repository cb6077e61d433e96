#include "lifecycle/unix_servers.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/clock.h"
#include "kernel/holders.h"
#include "lifecycle/request_start.h"

namespace callgate {
namespace {

cg_peer peer_of(int fd) {
    ucred peer{};
    socklen_t length = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length)) return {};
    return {static_cast<uint32_t>(peer.pid), peer.uid, 0, 0, 0};
}

cg_peer peer_of_connection(const cg_event& event) {
    auto pidfd = open_pidfd(static_cast<pid_t>(event.tgid));
    auto copy = pidfd ? fetch_descriptor(*pidfd, event.hold.fd) : pidfd.error();
    return copy ? peer_of(copy->get()) : cg_peer{};
}

// A line that may hold a message begins after some other one.
bool may_begin_message_within(std::string_view bytes) {
    for (size_t at = bytes.find_first_of("\r\n"); at != std::string_view::npos; at = bytes.find_first_of("\r\n", at + 1))
        if (begins_message(bytes.substr(at))) return true;
    return false;
}

// Of what passed, so that neither a line's end nor kHttpWord is missed where it comes in two reads.
constexpr size_t kTailBytes = 64;
constexpr int64_t kPruneInterval = 5'000'000'000;

}  // namespace

std::shared_ptr<const UnixListener> UnixServers::look_at(pid_t pid, const BoundUnixSocket& socket, bool adopted) {
    auto server = identify_server(pid);
    if (!server) return nullptr;
    server->listens = {"unix:" + socket.path};
    PolicyStore::Match match = help_.find_policy(*server);
    if (!match.policy) return nullptr;
    UnixListener found{socket.path, socket.file_inode, {}, std::move(*server), match, adopted};
    if (!socket.can_be_governed()) {
        help_.report_blind(pid, found,
                           socket.packets ? "it listens on a SOCK_SEQPACKET socket: packets are not judged"
                                          : "it listens on an abstract address: its connections cannot be told");
        return nullptr;
    }
    for (const BoundUnixSocket& each : bound_unix_sockets(pid))
        if (each.listens && each.file_inode == socket.file_inode) found.socket = each.channel;
    auto listener = std::make_shared<UnixListener>(std::move(found));
    if (!socket.file_inode) {
        help_.report_blind(pid, *listener, "the file that it is bound to cannot be looked at: its connections cannot be told");
        return nullptr;
    }
    channels_.decide_reader({socket.file_inode | CG_READER_UNIX, 0, 0}, {CG_WATCH, 0, 0, 0, 0});
    if (auto& known = listeners_[socket.file_inode]) events_.gone(known);
    listeners_[socket.file_inode] = listener;
    events_.governed(listener);
    if (listeners_.size() > prune_at_) prune();
    return listener;
}

void UnixServers::scan(const Scope& scope, const std::function<void()>& between) {
    struct Accepted {
        BoundUnixSocket socket;
        pid_t pid;
    };
    std::vector<Accepted> accepted;
    std::unordered_set<uint64_t> ungoverned;  // sockets that several processes may have
    for (pid_t pid : processes_in_scope(scope)) {
        for (BoundUnixSocket& socket : bound_unix_sockets(pid)) {
            if (!socket.listens) {
                accepted.push_back({std::move(socket), pid});
            } else if (!socket.can_be_governed() && !ungoverned.insert(socket.channel.inode).second) {
                continue;
            } else if (!listeners_.count(socket.file_inode)) {
                look_at(pid, socket, true);
            }
        }
        between();
    }
    for (const auto& [socket, pid] : accepted) {
        if (!socket.can_be_governed() || !listeners_.count(socket.file_inode)) continue;
        earlier_[socket.channel];
        (void)channels_.watch(socket.channel, {CG_WATCH, CG_KIND_UNIX, static_cast<uint32_t>(pid), 0, socket.channel});
    }
}

void UnixServers::on_listen(const cg_event& event) {
    auto pid = static_cast<pid_t>(event.tgid);
    // Where another process listens there too, or on a file with the same number elsewhere, nothing is forgotten of the
    // first: whoever that is, it cannot make connections pass unjudged.
    auto known = listeners_.find(event.channel.inode);
    bool again = known != listeners_.end() && known->second->server.process.pid == pid;
    auto socket = bound_unix_socket(pid, event.hold.fd);
    if (again && socket && known->second->socket == socket->channel) socket.reset();
    if (socket) look_at(pid, *socket, false);
    channels_.release(static_cast<pid_t>(event.tid));
}

void UnixServers::say(const cg_event& event, uint64_t file_inode, cg_channel_state state) {
    cg_reader reader = event.reader;
    reader.state = state;
    channels_.decide_reader({file_inode | CG_READER_UNIX, event.tgid, 0}, reader);
}

void UnixServers::pass(const cg_event& event) {
    earlier_.erase(event.channel);
    inherited_.erase(event.channel);
    channels_.forget(event.channel);
    channels_.pass(event.channel);
}

// What was read passes; the next read is looked at again.
void UnixServers::follow(const cg_event& event, const std::string& bytes) {
    std::string& tail = earlier_[event.channel];
    tail += bytes;
    tail.erase(0, tail.size() - std::min(tail.size(), kTailBytes));
    (void)channels_.watch(event.channel, {CG_WATCH, CG_KIND_UNIX, event.tgid, 0, event.channel});
}

bool UnixServers::on_exec(const cg_event& event, const ServerIdentity& server, const PolicyStore::Match& match) {
    if (event.channel_kind != CG_KIND_UNIX || !(event.channel == event.output)) return false;
    auto socket = bound_unix_socket(static_cast<pid_t>(event.tgid), 0);
    if (!socket || socket->listens || !(socket->channel == event.channel)) return false;
    UnixListener listener{socket->path, socket->file_inode, {}, server, match, false};
    listener.server.listens = {"unix:" + socket->path};
    inherited_[event.channel] = std::make_shared<UnixListener>(std::move(listener));
    (void)channels_.watch(event.channel, {CG_WATCH, CG_KIND_UNIX, event.tgid, 0, event.channel});
    if (inherited_.size() > prune_at_) prune();
    return true;
}

// A process that nobody has asked about yet reads a connection that some listener has accepted.
std::shared_ptr<const UnixListener> UnixServers::decide(const cg_event& event, const BoundUnixSocket& socket) {
    auto pid = static_cast<pid_t>(event.tgid);
    auto server = identify_server(pid);
    if (!server) return nullptr;
    server->listens = {"unix:" + socket.path};
    PolicyStore::Match match = help_.find_policy(*server);
    auto known = listeners_.find(socket.file_inode);
    std::shared_ptr<const UnixListener> listener = known == listeners_.end() ? nullptr : known->second;
    // Whoever has a governed listener's connection can read what is meant for its server.
    if (match.policy && (!listener || listener->match.policy != match.policy)) listener = look_at(pid, socket, false);
    say(event, socket.file_inode, listener ? CG_WATCH : CG_PASS);
    return listener;
}

std::shared_ptr<const UnixListener> UnixServers::listener_of(const cg_event& event) {
    if (auto own = inherited_.find(event.channel); own != inherited_.end()) return own->second;
    auto socket = bound_unix_socket(static_cast<pid_t>(event.tgid), event.hold.fd);
    if (!socket || !(socket->channel == event.channel)) return nullptr;
    auto found = listeners_.find(socket->file_inode);
    if (event.channel_state != CG_UNKNOWN && found != listeners_.end()) return found->second;
    return decide(event, *socket);
}

void UnixServers::on_read(const cg_event& event, StoppedThread thread, const std::optional<Error>& refused) {
    auto listener = listener_of(event);
    // Said of its reader, or of this connection where that cannot be.
    if (!listener) return event.channel_state == CG_UNKNOWN ? void() : pass(event);
    auto pid = static_cast<pid_t>(event.tgid);
    auto give_up = [&](const Error& error) {
        // It is told by itself that a hold has run out; what is read next is looked at again.
        if (error.kind == ErrorKind::limit) return follow(event, {});
        pass(event);
        help_.report_blind(pid, *listener, error.text());
    };
    if (refused) return give_up(*refused);
    if (!thread.tracee) return give_up(Error::refused("its reader", "cannot be stopped"));
    auto bytes = peek_read(event.hold);
    if (!bytes) return give_up(bytes.error());
    if (auto earlier = earlier_.find(event.channel); earlier != earlier_.end()) {
        std::string seen = earlier->second + *bytes;
        // The rest of a request that was under way, unless another one may begin in it: then nobody can say what is whose.
        bool begins = begins_request(*bytes) || begins_message(*bytes);
        if (!begins && !names_http(seen) && !may_begin_message_within(seen)) return follow(event, *bytes);
        if (!begins) {
            auto cut = take_over({pid, event.channel, event.channel}, thread, help_.takeover);
            if (!cut) return give_up(cut.error());
            earlier_.erase(earlier);
            channels_.forget(event.channel);
            return events_.cut(listener);
        }
    }
    if (begins_message(*bytes)) {
        earlier_.erase(event.channel);
        inherited_.erase(event.channel);
        return help_.take_lines(event, std::move(thread), *listener, peer_of_connection(event));
    }
    auto taken = take_over({pid, event.channel, event.channel}, thread, help_.takeover);
    if (!taken) return give_up(taken.error());
    earlier_.erase(event.channel);
    inherited_.erase(event.channel);
    channels_.forget(event.channel);
    UnixConnection connection{listener, std::move(taken->from_client), std::move(taken->to_server), {}, std::move(taken->unread)};
    connection.replacement = taken->new_input;
    connection.peer = peer_of(connection.client.get());
    events_.connection(std::move(connection));
}

void UnixServers::on_unjudged(const cg_event& event) {
    auto listener = listener_of(event);
    if (listener) {  // what is read next is looked at again, where that can be done
        event.kind == CG_EVENT_UNSEEN ? pass(event) : follow(event, {});
    } else {  // the connection is over by now
        auto known = listeners_.find(event.output.inode);
        if (event.channel_state != CG_ACCEPTED || known == listeners_.end()) return;
        listener = known->second;
    }
    help_.report_blind(static_cast<pid_t>(event.tgid), *listener,
                       why_unjudged(event) + ": the first bytes of a connection were not judged");
}

void UnixServers::forget_what_is_gone() {
    gone_.erase_from(earlier_, [this](const cg_channel_key& channel) { channels_.forget(channel); });
    int64_t now = monotonic_ns();
    if (now < next_prune_ns_) return;
    next_prune_ns_ = now + kPruneInterval;
    if (!listeners_.empty() || !inherited_.empty()) prune();
}

// Its own process has it, or another one does: looked for among all of them only where its own has not.
void UnixServers::prune() {
    std::unordered_map<pid_t, std::unordered_set<uint64_t>> of_process;
    auto has = [&](pid_t pid, uint64_t inode) {
        auto [known, fresh] = of_process.try_emplace(pid);
        if (fresh)
            for (const ProcessDescriptor& each : all_channels(pid)) known->second.insert(each.channel.inode);
        return known->second.count(inode) != 0;
    };
    std::unordered_set<uint64_t> missing;
    for (const auto& [file, listener] : listeners_)
        if (!has(listener->server.process.pid, listener->socket.inode)) missing.insert(listener->socket.inode);
    auto others = missing.empty() ? std::unordered_map<uint64_t, std::vector<pid_t>>() : holders_of(missing);
    std::erase_if(listeners_, [&](const auto& entry) {
        const UnixListener& listener = *entry.second;
        if (!missing.count(listener.socket.inode) || others.count(listener.socket.inode)) return false;
        if (!listener.socket.inode && open_pidfd(listener.server.process.pid)) return false;
        channels_.forget_reader({listener.file_inode | CG_READER_UNIX, 0, 0});
        events_.gone(entry.second);
        return true;
    });
    std::erase_if(inherited_, [&](const auto& entry) {
        if (has(entry.second->server.process.pid, entry.first.inode)) return false;
        channels_.forget(entry.first);
        return true;
    });
    prune_at_ = std::max(kPruneAtLeast, 2 * std::max(listeners_.size(), inherited_.size()));
}

}  // namespace callgate
