#include "lifecycle/earlier_connections.h"

#include <unistd.h>

#include <algorithm>

#include "kernel/holders.h"
#include "kernel/tcp_state.h"
#include "lifecycle/request_start.h"

namespace callgate {
namespace {

cg_reader_key reader_key(const cg_event& event, const SocketAddress& server) { return {server.port(), event.tgid, 0}; }

}  // namespace

void EarlierConnections::scan(const Scope& scope, const std::function<void()>& between) {
    if (!listeners_.governs_any()) return;
    for (pid_t pid : processes_in_scope(scope)) {
        if (pid == getpid()) continue;
        for (const ConnectedSocket& socket : connected_sockets(pid)) look_at(socket, pid);
        between();
    }
}

bool EarlierConnections::watch(const cg_channel_key& channel, uint32_t tgid) {
    return channels_.watch(channel, {CG_WATCH, CG_KIND_TCP, tgid, 0, channel}).ok();
}

void EarlierConnections::look_at(const ConnectedSocket& socket, pid_t pid) {
    listeners_.note_peer(socket.netns, socket.local, socket.remote, pid);
    if (known_.count(socket.channel) || !listeners_.passed_by(socket.netns, socket.local, socket.remote)) return;
    bool watched = watch(socket.channel, static_cast<uint32_t>(pid));
    // Asked now that nothing more is read unseen.
    auto state = tcp_state(socket.socket.get());
    Known known{socket.netns, socket.local, socket.remote, false, state && state->answered, state ? state->bytes_sent : 0, {}, {}};
    if (!watched) return report(known, "too many channels are watched");
    known_[socket.channel] = std::move(known);
}

// A connection that is read for the first time since the agent looks. End: it is nobody's business.
EarlierConnections::Connections::iterator EarlierConnections::admit(const cg_event& event) {
    auto pid = static_cast<pid_t>(event.tgid);
    auto socket = connected_socket(pid, event.hold.fd);
    if (!socket || !(socket->channel == event.channel)) return known_.end();
    auto state = tcp_state(socket->socket.get());
    Known known{socket->netns, socket->local, socket->remote, false, true, state ? state->bytes_sent : 0, {}, {}};
    uint64_t read = is_peek(event.hold) ? 0 : static_cast<uint64_t>(event.hold.result);
    known.fresh = state && state->bytes_received == read + state->unread;
    ListenWatch::Way way = listeners_.way_to(pid, socket->netns, socket->local, socket->remote);
    if (way.kind == ListenWatch::Way::none) {
        if (way.of_this_one) {
            channels_.pass(event.channel);
        } else {
            cg_reader reader = event.reader;
            reader.state = CG_PASS;
            channels_.decide_reader(reader_key(event, known.server), reader);
        }
        return known_.end();
    }
    known.alone = std::move(way.alone);
    cg_reader reader = event.reader;
    reader.state = CG_WATCH;
    channels_.decide_reader(reader_key(event, known.server), reader);
    return known_.insert_or_assign(event.channel, std::move(known)).first;
}

void EarlierConnections::report(const Known& known, const std::string& reason) {
    std::string text = "the connection of " + known.client.text() + " that was not steered: " + reason;
    if (known.alone) return listeners_.report_blind(*known.alone, std::move(text));
    listeners_.report_blind_connection(known.netns, known.server, std::move(text));
}

void EarlierConnections::report_blind(const cg_channel_key& channel, const Error& error) {
    auto found = known_.extract(channel);
    if (!found) return;
    channels_.forget(channel);
    channels_.pass(channel);
    report(found.mapped(), error.text());
}

// What was read passes; the next read is looked at again.
void EarlierConnections::follow(const cg_channel_key& channel, Known& known, const std::string& bytes, uint64_t bytes_sent) {
    known.tail += bytes;
    known.tail.erase(0, known.tail.size() - std::min(known.tail.size(), kHttpWord.size()));
    known.answered = false;
    known.bytes_sent = bytes_sent;
    (void)watch(channel, 0);
}

void EarlierConnections::on_read(const cg_event& event, StoppedThread thread, const std::optional<Error>& refused) {
    auto pid = static_cast<pid_t>(event.tgid);
    if (std::find(taken_.begin(), taken_.end(), event.channel) != taken_.end()) {
        // Another process has the connection too; the agent has taken it, with what was to be read of it.
        if (thread.tracee) (void)take_connection(pid, event.channel, thread, help_);
        return;
    }
    auto found = known_.find(event.channel);
    if (found == known_.end()) found = admit(event);
    if (found == known_.end()) return channels_.forget(event.channel);
    if (refused) return report_blind(event.channel, *refused);
    if (!thread.tracee) return report_blind(event.channel, Error::refused("its reader", "cannot be stopped"));
    Known& known = found->second;
    auto bytes = peek_read(event.hold, event.hold.result);
    if (!bytes) return report_blind(event.channel, bytes.error());
    EarlierConnection connection;
    if (!known.fresh) {
        auto socket = connected_socket(pid, event.hold.fd);
        auto now = socket ? tcp_state(socket->socket.get()) : std::nullopt;
        // A request was under way, and nothing has been said to it since.
        uint64_t bytes_sent = now ? now->bytes_sent : known.bytes_sent;
        bool answer_is_due = !known.answered && bytes_sent == known.bytes_sent;
        bool begins = begins_request(*bytes) || (!answer_is_due && may_begin_request(*bytes));
        if (!begins) {
            if (!names_http(known.tail + *bytes)) return follow(event.channel, known, *bytes, bytes_sent);
            connection.cut = "a request began in the middle of what was read";
        } else if (answer_is_due) {
            connection.cut = "a request came before the one under way was answered";
        }
    }
    if (known.alone && connection.cut.empty() && begins_message(*bytes)) {
        GovernedListener governed = std::move(*known.alone);
        known_.erase(found);
        (void)watch(event.channel, event.tgid);
        return events_.take_lines(event, std::move(thread), governed);
    }
    take(event, found, thread, std::move(connection));
}

void EarlierConnections::take(const cg_event& event, Connections::iterator found, StoppedThread& thread,
                              EarlierConnection connection) {
    auto pid = static_cast<pid_t>(event.tgid);
    Known& known = found->second;
    connection.netns = known.netns;
    auto failed = [&](const Error& error) {
        // It is told by itself that a hold has run out; what is read next is looked at again.
        if (error.kind == ErrorKind::limit) return follow(event.channel, known, {}, known.bytes_sent);
        report_blind(event.channel, error);
    };
    if (known.alone) {
        auto taken = take_over({pid, event.channel, event.channel}, thread, help_);
        if (!taken) return failed(taken.error());
        connection.client = std::move(taken->from_client);
        connection.server = std::move(taken->to_server);
        connection.unread = std::move(taken->unread);
        connection.alone = std::move(known.alone);
        set_blocking(connection.client.get());
    } else {
        auto taken = take_connection(pid, event.channel, thread, help_);
        if (!taken) return failed(taken.error());
        connection.client = std::move(taken->client);
        connection.unread = std::move(taken->unread);
        take_from_others(event, taken->descriptors, connection.unread);
    }
    known_.erase(event.channel);
    remember_taken(event);
    events_.taken(std::move(connection));
}

// Whoever else has the connection, forked processes for instance, must not go on reading it beside the agent.
void EarlierConnections::take_from_others(const cg_event& event, size_t descriptors, std::string& unread) {
    if (event.hold.references <= descriptors) return;
    auto holders = holders_of({event.channel.inode});
    for (pid_t other : holders[event.channel.inode]) {
        if (other == static_cast<pid_t>(event.tgid) || Tracee::is_ours(other)) continue;
        auto tracee = Tracee::stop(other, help_.while_waiting);
        if (!tracee) continue;
        StoppedThread stopped{std::move(*tracee), help_.caught(other)};
        if (auto taken = take_connection(other, event.channel, stopped, help_)) unread += taken->unread;
    }
}

void EarlierConnections::remember_taken(const cg_event& event) {
    (void)watch(event.channel, event.tgid);
    taken_.push_back(event.channel);
    if (taken_.size() <= kTakenKept) return;
    channels_.forget(taken_.front());
    taken_.pop_front();
}

void EarlierConnections::on_expired(const cg_event& event) {
    auto found = known_.find(event.channel);
    if (found == known_.end()) found = admit(event);
    if (found == known_.end()) return;
    found->second.fresh = false;
    follow(event.channel, found->second, {}, found->second.bytes_sent);
    report(found->second, "the hold ran out: a request was read before it could be judged");
}

}  // namespace callgate
