#include "lifecycle/earlier_connections.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "base/clock.h"
#include "kernel/tcp_state.h"

namespace callgate {
namespace {

constexpr int kScansAgain = 3;
constexpr int64_t kScanInterval = 300'000'000;

// No server takes a request for one that does not say this in its first line.
constexpr std::string_view kProtocol = "http/1";

bool names_protocol(std::string_view bytes) {
    auto same = [](char a, char b) { return tolower(static_cast<unsigned char>(a)) == b; };
    return std::search(bytes.begin(), bytes.end(), kProtocol.begin(), kProtocol.end(), same) != bytes.end();
}

// The whole first line of a request; empty lines before it are allowed (RFC 9112, 2.2).
bool begins_request(std::string_view bytes) {
    size_t start = bytes.find_first_not_of("\r\n");
    if (start == std::string_view::npos) return false;
    size_t end = bytes.find('\n', start);
    return end != std::string_view::npos && names_protocol(bytes.substr(start, end - start));
}

}  // namespace

void EarlierConnections::scan(const Scope& scope, const std::function<void()>& between) {
    bool again = scans_++ < kScansAgain && listeners_.governs_any();
    next_scan_ns_ = again ? monotonic_ns() + kScanInterval : kNever;
    if (!listeners_.governs_any()) return;
    for (pid_t pid : processes_in_scope(scope)) {
        if (pid == getpid()) continue;
        for (const ConnectedSocket& socket : connected_sockets(pid)) look_at(socket, pid);
        between();
    }
}

bool EarlierConnections::due() const { return monotonic_ns() >= next_scan_ns_; }

std::chrono::milliseconds EarlierConnections::patience(std::chrono::milliseconds limit) const {
    std::chrono::milliseconds left((next_scan_ns_ - monotonic_ns()) / 1'000'000 + 1);
    return std::clamp(left, std::chrono::milliseconds(0), limit);
}

void EarlierConnections::look_at(const ConnectedSocket& socket, pid_t pid) {
    listeners_.note_peer(socket.netns, socket.local, socket.remote, pid);
    if (known_.count(socket.channel) || !listeners_.passed_by(socket.netns, socket.local, socket.remote)) return;
    cg_channel mark{CG_WATCH, CG_KIND_TCP, static_cast<uint32_t>(pid), 0, socket.channel};
    Status watched = channels_.watch(socket.channel, mark);
    // Asked now that nothing more is read unseen.
    auto state = tcp_state(socket.socket.get());
    known_[socket.channel] = {socket.netns, socket.local, socket.remote, state && state->answered, state ? state->bytes_sent : 0, {}};
    if (!watched) report_blind(socket.channel, watched.error().text());
}

// A request was under way when the connection was found, and nothing has been said to it since.
bool EarlierConnections::answer_is_due(pid_t pid, int fd, const Known& known) const {
    if (known.answered) return false;
    auto pidfd = open_pidfd(pid);
    auto copy = pidfd ? fetch_descriptor(*pidfd, fd) : pidfd.error();
    auto now = copy ? tcp_state(copy->get()) : std::nullopt;
    return !now || now->bytes_sent == known.bytes_sent;
}

void EarlierConnections::report_blind(const cg_channel_key& channel, const std::string& reason) {
    auto found = known_.extract(channel);
    if (!found) return;
    channels_.forget(channel);
    const Known& known = found.mapped();
    listeners_.report_blind_connection(known.netns, known.server, known.client, reason);
}

void EarlierConnections::on_read(const cg_event& event, StoppedThread thread, const std::optional<Error>& refused) {
    auto found = known_.find(event.channel);
    if (found == known_.end()) return channels_.forget(event.channel);
    if (refused || !thread.tracee) return report_blind(event.channel, refused ? refused->text() : "its reader cannot be stopped");
    Known& known = found->second;
    auto bytes = peek_read(event.hold, event.hold.result);
    if (!bytes) return report_blind(event.channel, bytes.error().text());
    EarlierConnection connection;
    connection.netns = known.netns;
    if (!begins_request(*bytes)) {
        known.tail += *bytes;
        bool request_within = names_protocol(known.tail);
        known.tail.erase(0, known.tail.size() - std::min(known.tail.size(), kProtocol.size()));
        if (!request_within) return;
        connection.cut = "a request began in the middle of what was read";
    } else if (answer_is_due(static_cast<pid_t>(event.tgid), event.hold.fd, known)) {
        connection.cut = "a request came before the one under way was answered";
    }
    auto taken = take_connection(static_cast<pid_t>(event.tgid), event.channel, thread, help_);
    if (!taken) return report_blind(event.channel, taken.error().text());
    known_.erase(event.channel);
    channels_.forget(event.channel);
    connection.client = std::move(taken->client);
    connection.unread = std::move(taken->unread);
    taken_(std::move(connection));
}

void EarlierConnections::on_expired(const cg_event& event) {
    auto found = known_.find(event.channel);
    if (found == known_.end()) return;
    const Known& known = found->second;
    listeners_.report_blind_connection(known.netns, known.server, known.client,
                                       "the hold ran out: a request was read before it could be judged");
}

}  // namespace callgate
