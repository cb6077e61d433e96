#include "lifecycle/earlier_connections.h"

#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "kernel/holders.h"
#include "kernel/tcp_state.h"
#include "lifecycle/request_start.h"

namespace callgate {
namespace {

// A read that has its bytes is on its way out of the kernel, and is heard of within this.
constexpr std::chrono::milliseconds kOnItsWay{2};

// Some thread of it is stopped by us, and waits for its turn.
bool is_any_ours(pid_t pid) {
    std::vector<pid_t> tids = threads_of(pid);
    return std::any_of(tids.begin(), tids.end(), Tracee::is_ours);
}

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
    Known known{
        socket.netns, socket.local, socket.remote, false, state && state->answered, state ? state->bytes_sent : 0, 0, {}, {}};
    if (!watched) return report(known, "too many channels are watched");
    known_[socket.channel] = std::move(known);
}

// A connection that is read for the first time since the agent looks. End: it is nobody's business.
EarlierConnections::Connections::iterator EarlierConnections::admit(const cg_event& event) {
    auto pid = static_cast<pid_t>(event.tgid);
    auto socket = connected_socket(pid, event.hold.fd);
    if (!socket || !(socket->channel == event.channel)) return known_.end();
    auto state = tcp_state(socket->socket.get());
    Known known{socket->netns, socket->local, socket->remote, false, true, state ? state->bytes_sent : 0, 0, {}, {}};
    auto read = is_peek(event.hold) ? std::string() : peek_read(event.hold);
    known.fresh = state && read && state->bytes_received == read->size() + state->unread;
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

void EarlierConnections::give_up(const cg_channel_key& channel, const std::string& reason) {
    auto found = known_.extract(channel);
    if (!found) return;
    channels_.forget(channel);
    channels_.pass(channel);
    report(found.mapped(), reason);
}

// Somebody else who has the connection may have read what comes before this, and not be heard of yet.
bool EarlierConnections::may_lack_its_beginning(const cg_event& event, const Known& known) {
    return event.hold.references > 1 && known.waited_with != event.hold.since_ns;
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
    if (const Known* taken = find_taken(event.channel)) {
        if (thread.tracee) on_late_read(event, std::move(thread), *taken);
        return;
    }
    auto found = known_.find(event.channel);
    if (found == known_.end()) found = admit(event);
    if (found == known_.end()) return channels_.forget(event.channel);
    if (refused) return give_up(event.channel, refused->text());
    if (!thread.tracee) return give_up(event.channel, "its reader: cannot be stopped");
    Known& known = found->second;
    auto bytes = peek_read(event.hold);
    if (!bytes) return give_up(event.channel, bytes.error().text());
    EarlierConnection connection;
    connection.http_only = !known.fresh;
    if (!known.fresh) {
        auto socket = connected_socket(pid, event.hold.fd);
        auto now = socket ? tcp_state(socket->socket.get()) : std::nullopt;
        // A request was under way, and nothing has been said to it since.
        uint64_t bytes_sent = now ? now->bytes_sent : known.bytes_sent;
        bool answer_is_due = !known.answered && bytes_sent == known.bytes_sent;
        bool begins = begins_request(*bytes) || (!answer_is_due && may_begin_request(*bytes));
        if (!begins) {
            if (!names_http(known.tail + *bytes)) {
                if (answer_is_due || !may_lack_its_beginning(event, known))
                    return follow(event.channel, known, *bytes, bytes_sent);
                known.waited_with = event.hold.since_ns;
                return help_.look_at_later(event, std::move(thread), kOnItsWay);
            }
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
    std::vector<pid_t> others;
    std::vector<ReadPiece> pieces;
    connection.netns = known.netns;
    auto failed = [&](const Error& error) {
        // It is told by itself that a hold has run out; what is read next is looked at again.
        if (error.kind == ErrorKind::limit) return follow(event.channel, known, {}, known.bytes_sent);
        give_up(event.channel, error.text());
    };
    if (known.alone) {
        auto taken = take_over({pid, event.channel, event.channel}, thread, help_);
        if (!taken) return failed(taken.error());
        connection.client = std::move(taken->from_client);
        connection.server = std::move(taken->to_server);
        connection.unread = std::move(taken->unread);
        connection.replacement = taken->new_input;
        connection.alone = known.alone;
    } else {
        auto taken = take_connection(pid, event.channel, thread, help_);
        if (!taken) return failed(taken.error());
        connection.client = std::move(taken->client);
        pieces = std::move(taken->unread);
        if (event.hold.references > taken->descriptors) others = take_from_others(event, pieces);
        if (others.empty()) connection.unread = joined(std::move(pieces));
    }
    remember_taken(event, std::move(known));
    known_.erase(found);
    if (others.empty()) return events_.taken(std::move(connection));
    incomplete_.push_back({event.channel, std::move(connection), std::move(pieces), std::move(others), monotonic_ns()});
    any_incomplete_ = true;
}

// Whoever else has the connection, forked processes for instance, must not go on reading it beside the agent.
std::vector<pid_t> EarlierConnections::take_from_others(const cg_event& event, std::vector<ReadPiece>& pieces) {
    std::vector<pid_t> others = std::move(holders_of({event.channel.inode})[event.channel.inode]);
    std::erase(others, static_cast<pid_t>(event.tgid));
    for (pid_t other : others) {
        if (is_any_ours(other)) continue;  // its turn comes
        auto tracee = Tracee::stop(other, help_.while_waiting);
        if (!tracee) continue;
        StoppedThread stopped{std::move(*tracee), std::nullopt};
        if (auto read = help_.caught(other); read && read->channel == event.channel) stopped.hold = read->hold;
        if (auto taken = take_connection(other, event.channel, stopped, help_))
            std::move(taken->unread.begin(), taken->unread.end(), std::back_inserter(pieces));
    }
    return others;
}

// Another process has the connection too, or had it when it began to read. `known` is of the connection.
void EarlierConnections::on_late_read(const cg_event& event, StoppedThread thread, const Known& known) {
    auto rest = [&]() -> Result<std::vector<ReadPiece>> {
        if (auto taken = take_connection(static_cast<pid_t>(event.tgid), event.channel, thread, help_))
            return std::move(taken->unread);
        return std::vector<ReadPiece>{TRY(take_back_read(std::move(thread)))};
    }();
    if (!rest) return report(known, rest.error().text());
    auto found = std::find_if(incomplete_.begin(), incomplete_.end(),
                              [&](const Incomplete& each) { return each.channel == event.channel; });
    if (found != incomplete_.end()) {
        std::move(rest->begin(), rest->end(), std::back_inserter(found->pieces));
    } else if (!joined(std::move(*rest)).empty()) {
        report(known, "another process had read a part of it when it was taken over");
    }
}

void EarlierConnections::settle() {
    for (size_t i = 0; i < incomplete_.size();) {
        Incomplete& each = incomplete_[i];
        const std::chrono::nanoseconds waited(monotonic_ns() - each.since_ns);
        const bool awaited = std::any_of(each.others.begin(), each.others.end(), is_any_ours);
        if (waited < kOnItsWay || (awaited && waited < Tracee::kStopTimeout)) {
            ++i;
            continue;
        }
        EarlierConnection connection = std::move(each.connection);
        connection.unread = joined(std::move(each.pieces));
        incomplete_.erase(incomplete_.begin() + static_cast<std::ptrdiff_t>(i));
        events_.taken(std::move(connection));
    }
    any_incomplete_ = !incomplete_.empty();
}

void EarlierConnections::forget_what_is_gone() {
    gone_.erase_from(known_, [this](const cg_channel_key& channel) { channels_.forget(channel); });
}

void EarlierConnections::remember_taken(const cg_event& event, Known known) {
    (void)watch(event.channel, event.tgid);
    taken_.push_back({event.channel, std::move(known)});
    if (taken_.size() <= kTakenKept) return;
    channels_.forget(taken_.front().channel);
    taken_.pop_front();
}

const EarlierConnections::Known* EarlierConnections::find_taken(const cg_channel_key& channel) const {
    auto found = std::find_if(taken_.begin(), taken_.end(), [&](const Taken& each) { return each.channel == channel; });
    return found == taken_.end() ? nullptr : &found->known;
}

void EarlierConnections::on_unjudged(const cg_event& event) {
    if (const Known* taken = find_taken(event.channel))
        return report(*taken, why_unjudged(event) + ": another process has read a part of it");
    auto found = known_.find(event.channel);
    if (found == known_.end()) found = admit(event);
    if (found == known_.end()) return;
    const std::string reason = why_unjudged(event) + ": a request was not judged";
    if (event.kind == CG_EVENT_UNSEEN) return give_up(event.channel, reason);
    found->second.fresh = false;
    follow(event.channel, found->second, {}, found->second.bytes_sent);
    report(found->second, reason);
}

}  // namespace callgate
