// From a decision to a session: the take-over of one process, and what is remembered of it.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "base/fault_point.h"
#include "kernel/holders.h"
#include "lifecycle/client_of.h"
#include "lifecycle/watch_state.h"

namespace callgate {
namespace {

// Left for what goes on: finding out who a server is, and what the sessions there are may open.
constexpr int kDescriptorsReserved = 64;

// The kernel gives the smallest number that is free: where the first of the last ones was never reached, there is room. No
// number is asked for that the table has no room for yet (kDescriptorsAtOnce).
bool has_room_for_a_session() {
    rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return false;
    const int first = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, kDescriptorsAtOnce)) - kDescriptorsReserved;
    if (Fd::adopt(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, first)).get() == first) return true;
    std::array<Fd, kDescriptorsReserved> tried;
    for (Fd& each : tried) each = Fd::adopt(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
    return tried.back().valid();
}

// Whoever is to reap it may not have done so yet: pidfd_open(2), poll(2).
bool has_ended(pid_t pid) {
    auto pidfd = open_pidfd(pid);
    if (!pidfd) return true;
    pollfd end{pidfd->get(), POLLIN, 0};
    return poll(&end, 1, 0) == 1;
}

bool is_open_for(const ProcessDescriptor& each, const cg_channel_key& channel, int access) {
    return each.channel == channel && (each.kind != ChannelKind::pipe || (each.status_flags & O_ACCMODE) == access);
}

bool has_both_ends(pid_t pid, const cg_channel_key& input, const cg_channel_key& output) {
    auto held = find_descriptors(pid, input, output);
    if (!held) return false;
    auto has = [&](const cg_channel_key& channel, int access) {
        return std::any_of(held->channels.begin(), held->channels.end(),
                           [&](const ProcessDescriptor& each) { return is_open_for(each, channel, access); });
    };
    return has(input, O_RDONLY) && has(output, O_WRONLY);
}

}  // namespace

Result<TakenEnds> Watcher::State::stop_and_take(const Plan& plan, StoppedThread& thread,
                                                decltype(TakeoverRequest::begins) begins) {
    fault_point("to be stopped");
    if (!thread.tracee) {
        // Its first read has come in meanwhile and is waiting for its turn: that is where it will be taken over.
        if (Tracee::is_ours(plan.pid))
            return Error{ErrorKind::gone, 0, "process " + std::to_string(plan.pid), "is stopped already"};
        auto tracee = Tracee::interrupt(plan.pid, help.while_waiting);
        if (!tracee) return explain_refusal(plan.pid, tracee.error());
        thread.tracee = std::move(*tracee);
    }
    return take_over({plan.pid, plan.input, plan.output, std::move(begins)}, thread, help);
}

// Where it cannot be kept, a kill ends it, as it does a session.
std::shared_ptr<Vault::Entry> Watcher::State::keep_begun(BegunTakeover begun, const TakenEnds& ends) {
    if (!options.vault) return nullptr;
    const auto bundle = to_bundle(begun, ends);
    if (!bundle) return nullptr;
    auto entry = options.vault->add(bundle.value());
    return entry ? std::move(*entry) : nullptr;
}

// Another process has the session's input too and reads it, or may. It has been taken over, so what it holds now is its own, and
// nothing in it has been judged.
bool Watcher::State::join(Session& session, pid_t pid, const TakenEnds& ends) {
    if (!share_replacement(pid, ends, session.pids, session.new_input, session.new_output, help.while_waiting)) return false;
    session.pids.push_back(pid);
    govern(session.id, pid);
    return true;
}

void Watcher::State::take(const Plan& plan, StoppedThread thread, ServerIdentity server, const PolicyStore::Match& match) {
    // What is under way in a ring keeps the original, whatever becomes of the descriptor: both would read it.
    if (plan.start == Opening::Start::midway && reads_through_ring(plan.pid)) {
        report_blind(plan.pid, std::move(server), match, "its input may be read through io_uring, where a read is under way");
        return programs->forget(plan.input);
    }
    if (!has_room_for_a_session()) {
        candidates.erase(plan.input);
        ++failed;
        report_blind(plan.pid, std::move(server), match,
                     "the limit of open files (RLIMIT_NOFILE) leaves no room for another session");
        return programs->forget(plan.input);
    }
    const std::string id = new_id();
    std::shared_ptr<Vault::Entry> begun;
    swap_unwatched = false;
    auto ends = stop_and_take(plan, thread, [&](const TakenEnds& begin, const std::vector<int>& made) {
        begun = keep_begun({id,
                            match.policy->name(),
                            plan.remark,
                            match.policy->fail(),
                            names_a_program(*match.policy),
                            plan.start,
                            plan.pid,
                            server.process.start_time,
                            made,
                            {}},
                           begin);
    });
    if (!ends) {
        candidates.erase(plan.input);
        if (has_ended(plan.pid)) {
            take_forks(plan, holders_of({plan.input.inode})[plan.input.inode]);
            if (!by_original.count(plan.input)) programs->forget(plan.input);
            return;
        }
        if (ends.error().kind == ErrorKind::gone) return;
        ++failed;
        bool ran_out = ends.error().kind == ErrorKind::limit && plan.remark.empty();
        std::string reason =
            ran_out ? "the hold ran out: its first bytes were read before they could be judged" : ends.error().text();
        report_blind(plan.pid, server, match, reason);
        thread = {};
        if (!ran_out || match.policy->on_blind() == OnBlind::kill) return programs->forget(plan.input);
        Plan late = plan;
        late.start = Opening::Start::midway;
        late.remark = reason;
        return take(late, {}, std::move(server), match);
    }
    durations.add(monotonic_ns() - plan.since_ns);
    ++taken;
    candidates.erase(plan.input);
    if (auto known = by_original.find(plan.input); known != by_original.end()) {
        Session& session = sessions[known->second];
        if (session.match.policy->is_version_of(*match.policy) && join(session, plan.pid, *ends)) {
            events.joined(session.id, std::move(server));
            if (!ends->unread.empty()) events.late_bytes(session.id, std::move(ends->unread));
            return take_forks(plan, children_of(plan.pid));
        }
        std::string superseded = session.id;
        forget_session(superseded, false);
        events.superseded(superseded);
    }
    PeerIdentity client = plan.client ? *plan.client : client_of(plan.pid, plan.input);
    Session session{id, {plan.pid}, ends->input, ends->output, ends->new_input, ends->new_output, server, match};
    // The original stays watched: a thread that was reading it during the swap is caught there.
    cg_channel mark{CG_WATCH, static_cast<uint32_t>(ends->input_kind), static_cast<uint32_t>(plan.pid), 0, plan.output};
    if (!programs->watch(plan.input, mark)) swap_unwatched = true;
    std::string remark = plan.remark;
    if (swap_unwatched)
        remark += std::string(remark.empty() ? "" : "; ") +
                  "too many channels are watched: what another thread was reading during the take-over was not judged";
    by_original[session.input] = session.id;
    by_replacement[session.new_input] = session.id;
    by_replacement[session.new_output] = session.id;
    TakenServer taken_server{session.id,
                             std::move(server),
                             std::move(client),
                             match.policy,
                             std::move(*ends),
                             plan.start,
                             names_a_program(*match.policy),
                             std::move(remark),
                             std::move(begun)};
    fault_point("taken over");
    govern(session.id, plan.pid);
    sessions[session.id] = std::move(session);
    events.taken(std::move(taken_server));
    take_forks(plan, children_of(plan.pid));
}

// What was forked before the take-over has the original still. Who waits in a read of it waits for what the session's server is
// given instead; and where the process that was to be taken over has ended, it is the server.
void Watcher::State::take_forks(const Plan& plan, const std::vector<pid_t>& forks) {
    for (pid_t pid : forks) {
        auto known = by_original.find(plan.input);
        const Session* session = known == by_original.end() ? nullptr : &sessions[known->second];
        if ((session && session->has(pid)) || !has_both_ends(pid, plan.input, plan.output)) continue;
        auto server = identify_server(pid);
        if (!server) continue;
        PolicyStore::Match match = find_policy(*server);
        if (!match.policy && session) match = session->match;
        // Under another policy it is another program by now, whose start is an event of its own.
        if (!match.policy || (session && !session->match.policy->is_version_of(*match.policy))) continue;
        Plan same = plan;
        same.pid = pid;
        same.since_ns = monotonic_ns();
        take(same, {}, std::move(*server), match);
    }
}

EarlierConnections::Events Watcher::State::events_of_earlier_connections() {
    return {events.earlier_connection, [this](const cg_event& event, StoppedThread thread, const GovernedListener& listener) {
                Plan plan{static_cast<pid_t>(event.tgid),
                          event.channel,
                          event.channel,
                          Opening::Start::fresh,
                          static_cast<int64_t>(event.hold.since_ns),
                          {},
                          {}};
                take(plan, std::move(thread), listener.server, {listener.policy, {}});
            }};
}

UnixServers::Help Watcher::State::help_for_unix_servers() {
    return {[this](ServerIdentity& server) { return find_policy(server); }, help,
            [this](const cg_event& event, StoppedThread thread, const UnixListener& listener, const cg_peer& peer) {
                Plan plan{static_cast<pid_t>(event.tgid),
                          event.channel,
                          event.channel,
                          Opening::Start::fresh,
                          static_cast<int64_t>(event.hold.since_ns),
                          {},
                          {}};
                if (auto client = identify_peer(static_cast<pid_t>(peer.tgid))) plan.client = std::move(*client);
                take(plan, std::move(thread), listener.server, listener.match);
            },
            [this](pid_t pid, const UnixListener& listener, std::string reason) {
                report_blind(pid, listener.server, listener.match, std::move(reason));
            }};
}

std::string Watcher::State::new_id() { return std::string(ids.next(realtime_ns() / 1'000'000).view()); }

void Watcher::State::report_blind(pid_t pid, ServerIdentity server, const PolicyStore::Match& match, std::string reason) {
    BlindServer blind{new_id(), std::move(server), {}, match.policy, std::move(reason), false, {}};
    if (auto peer = identify_peer(parent_of(pid))) blind.client = std::move(*peer);
    if (match.policy->on_blind() == OnBlind::kill) {
        if (auto pidfd = open_pidfd(pid)) blind.killed = syscall(SYS_pidfd_send_signal, pidfd->get(), SIGKILL, nullptr, 0) == 0;
    }
    events.blind(std::move(blind));
}

// A server that was released because it speaks another protocol stays watched: should it be sent MCP after all, the
// read is held and it is taken over again.
void Watcher::State::forget_session(const std::string& id, bool released_alive) {
    auto found = sessions.find(id);
    if (found == sessions.end()) return;
    Session& session = found->second;
    ungovern(session);
    if (released_alive) {
        candidates[session.input] = Candidate{std::move(session.server), session.match, session.output, 0, true};
    } else {
        programs->forget(session.input);
    }
    by_original.erase(session.input);
    by_replacement.erase(session.new_input);
    by_replacement.erase(session.new_output);
    sessions.erase(found);
}

}  // namespace callgate
