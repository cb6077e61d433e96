// From a kernel event to a decision.
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>

#include "base/clock.h"
#include "kernel/stdio_channels.h"
#include "lifecycle/watch_state.h"

namespace callgate {
namespace {

// Reads of a channel that a user's name alone points to, before it is left alone.
constexpr int kReadsWithoutVerdict = 64;
// Bytes of a held read that are looked at.
constexpr size_t kPeekBytes = kReadBytes;

// Some part of the policy's match is about the program, not only about who runs it: then the server is taken over when
// the program starts. Otherwise its bytes must show first that it is an MCP server at all.
bool names_a_program(const Policy& policy) { return policy.match().is_certain() || !policy.match().command.empty(); }

}  // namespace

std::deque<Watcher::State::Work>& Watcher::State::work() {
    thread_local std::deque<Work> own;
    return own;
}

void Watcher::State::listen() {
    std::lock_guard lock(hearing);
    programs->poll();
}

void Watcher::State::on_event(const cg_event& event) {
    if (event.kind == CG_EVENT_EXEC) {
        if (taking) leave_to_other_half(event);
        return;
    }
    Work next{event, {}, std::nullopt};
    if (event.kind == CG_EVENT_READ) {
        auto tid = static_cast<pid_t>(event.tid);
        auto hold = programs->hold_of(tid);
        if (!hold || hold->since_ns != event.hold.since_ns) return;
        if (Tracee::is_ours(tid)) {
            caught[tid] = *hold;
            return programs->release(tid);
        }
        if (!taking) return programs->release(tid);
        auto tracee = Tracee::interrupt(tid, help.while_waiting);
        // Asked after the interrupt: a hold that runs out later ends in the stop all the same.
        hold = programs->hold_of(tid);
        if (tracee && hold) {
            next.thread.tracee = std::move(*tracee);
            next.thread.hold = hold;
        } else if (!tracee) {
            next.refused = explain_refusal(static_cast<pid_t>(event.tgid), tracee.error());
        }
        // A thread that cannot be stopped stays held until it is clear whether it must be killed.
        if (tracee) programs->release(tid);
    }
    if (taking) work().push_back(std::move(next));
}

// While the other thread works it may be waiting for a processor that a held thread occupies: somebody must listen.
void Watcher::State::take_turn(std::unique_lock<std::mutex>& held) {
    while (!held.try_lock()) {
        pollfd waiting{programs->ring_fd(), POLLIN, 0};
        ::poll(&waiting, 1, 1);
        listen();
    }
}

void Watcher::State::turn_once(int half) {
    listen();
    std::deque<Work>& mine = work();
    for (;;) {
        // What is held goes first.
        if (!mine.empty()) {
            Work next = std::move(mine.front());
            mine.pop_front();
            next.event.kind == CG_EVENT_EXPIRED ? on_expired(next.event) : on_read(std::move(next));
        } else if (auto started = next_program(half)) {
            if (taking) on_exec(*started);
        } else {
            return;
        }
        listen();
    }
}

PolicyStore::Match Watcher::State::find_policy(ServerIdentity& server) {
    ++identified;
    PolicyStore::Match match = options.policies->find(server, help.while_waiting);
    if (!match.policy && options.deny_unnamed) {
        static const auto no_policy = Policy::deny_everything(
            "(no policy)", "(no policy)", "No policy names this server, and this host denies such servers.", Mode::enforce);
        match.policy = no_policy;
    }
    return match;
}

// The mark that an exec made goes, unless a later exec has renewed it or somebody else is watched there.
void Watcher::State::forget_channel(const cg_channel_key& channel, pid_t made_by) {
    if (candidates.count(channel) || by_original.count(channel)) return;
    auto mark = programs->find(channel);
    if (mark && static_cast<pid_t>(mark->pid) == made_by) programs->forget(channel);
}

void Watcher::State::on_exec(const cg_event& event) {
    auto pid = static_cast<pid_t>(event.tgid);
    if (by_replacement.count(event.channel)) {
        programs->forget(event.channel);  // a child of a governed server, on the governed channel
        return;
    }
    if (auto known = by_original.find(event.channel); known != by_original.end() && sessions[known->second].pid == pid)
        return;
    auto server = identify_server(pid);
    if (!server) return forget_channel(event.channel, pid);
    PolicyStore::Match match = find_policy(*server);
    if (!match.policy) return forget_channel(event.channel, pid);
    if (!names_a_program(*match.policy)) {
        cg_channel mark{CG_WATCH, event.channel_kind, event.tgid, 0, event.output};
        (void)programs->watch(event.channel, mark);
        candidates[event.channel] = Candidate{std::move(*server), match, event.output};
        return;
    }
    Plan plan{pid, event.channel, event.output, Opening::Start::fresh, monotonic_ns(), {}};
    take(plan, {}, std::move(*server), match);
}

// The thread goes on when `reading` ends: let go on every path that does not take the server over.
void Watcher::State::on_read(Work reading) {
    const cg_event& event = reading.event;
    auto pid = static_cast<pid_t>(event.tgid), tid = static_cast<pid_t>(event.tid);
    if (reading.thread.tracee && !reading.thread.tracee->await_stop()) {
        ++failed;  // it has ended, or sleeps where nothing wakes it
        return;
    }
    struct ReleaseAtEnd {
        ChannelPrograms& programs;
        pid_t tid;
        ~ReleaseAtEnd() { programs.release(tid); }
    } release_at_end{*programs, tid};

    auto known = by_original.find(event.channel);
    if (known != by_original.end() && sessions[known->second].pid == pid) {
        ++late_reads;
        if (!reading.thread.tracee) return;
        auto bytes = take_back_read(std::move(reading.thread));
        if (bytes && !bytes->empty()) events.late_bytes(known->second, std::move(*bytes));
        return;
    }
    auto candidate = candidates.find(event.channel);
    ServerIdentity server;
    PolicyStore::Match match;
    cg_channel_key output = event.output;
    if (candidate != candidates.end() && candidate->second.server.process.pid == pid) {
        server = candidate->second.server;
        match = candidate->second.match;
        output = candidate->second.output;
    } else if (auto found = identify_server(pid)) {
        server = std::move(*found);
        match = find_policy(server);
        // A fork of the candidate, under another name: what started it still says what it is.
        if (!match.policy && candidate != candidates.end()) match = candidate->second.match;
    }
    if (!match.policy) {
        if (candidate == candidates.end() && known == by_original.end()) programs->forget(event.channel);
        ++released;
        return;
    }
    Plan plan{pid, event.channel, output, Opening::Start::fresh, static_cast<int64_t>(event.hold.since_ns), {}};
    bool released_before = candidate != candidates.end() && candidate->second.released;
    if (!names_a_program(*match.policy) || released_before) {
        auto bytes = peek_read(event.hold, kPeekBytes);
        if (!bytes) bytes = std::string("{");  // unreadable: judge it
        Protocol protocol = classify_bytes(*bytes, parser);
        // JSON that has not ended yet may be anything; what is complete must look like a message.
        bool may_be_call = protocol == Protocol::json_like && (bytes->back() != '\n' || may_hide_a_call(*bytes));
        if (protocol != Protocol::mcp && !may_be_call) {
            ++released;
            if (candidate != candidates.end() && !released_before && ++candidate->second.reads > kReadsWithoutVerdict) {
                candidates.erase(candidate);
                programs->forget(event.channel);
            }
            return;
        }
        if (protocol == Protocol::mcp) plan.start = Opening::Start::decided;
    }
    if (reading.refused) {
        report_blind(pid, server, match, reading.refused->text());
        programs->forget(event.channel);
        candidates.erase(event.channel);
        return;
    }
    take(plan, std::move(reading.thread), std::move(server), match);
}

void Watcher::State::on_expired(const cg_event& event) {
    ++expired;
    auto pid = static_cast<pid_t>(event.tgid), tid = static_cast<pid_t>(event.tid);
    auto hold = programs->hold_of(tid);
    if (hold && hold->state == CG_EXPIRED) programs->release(tid);
    auto server = identify_server(pid);
    if (!server) return;
    PolicyStore::Match match = find_policy(*server);
    if (!match.policy || by_original.count(event.channel)) return;
    std::string reason = "the hold ran out: its first bytes were read before they could be judged";
    report_blind(pid, *server, match, reason);
    if (match.policy->on_blind() == OnBlind::kill) return;
    Plan plan{pid, event.channel, event.output, Opening::Start::midway, monotonic_ns(), reason};
    take(plan, {}, std::move(*server), match);
}

// Walks up to the process that started the server: the nearest ancestor that does not have the server's input itself.
PeerIdentity Watcher::State::client_of(pid_t server, const cg_channel_key& input) {
    pid_t pid = parent_of(server);
    for (int step = 0; step < 16 && pid > 1; ++step) {
        if (!(channel_of(pid, 0).channel == input)) break;
        pid = parent_of(pid);
    }
    auto peer = identify_peer(pid);
    return peer ? std::move(*peer) : PeerIdentity();
}

Result<TakenEnds> Watcher::State::stop_and_take(const Plan& plan, StoppedThread& thread) {
    if (!thread.tracee) {
        // Its first read has come in meanwhile and is waiting for its turn: that is where it will be taken over.
        if (Tracee::is_ours(plan.pid)) return Error{ErrorKind::gone, 0, "process " + std::to_string(plan.pid), "is stopped already"};
        auto tracee = Tracee::stop(plan.pid, help.while_waiting);
        if (!tracee) return explain_refusal(plan.pid, tracee.error());
        thread.tracee = std::move(*tracee);
        thread.hold = help.caught(plan.pid);
    }
    return take_over({plan.pid, plan.input, plan.output}, thread, help);
}

void Watcher::State::take(const Plan& plan, StoppedThread thread, ServerIdentity server, const PolicyStore::Match& match) {
    auto ends = stop_and_take(plan, thread);
    if (!ends) {
        candidates.erase(plan.input);
        if (!open_pidfd(plan.pid)) return programs->forget(plan.input);
        if (ends.error().kind == ErrorKind::gone) return;
        ++failed;
        bool ran_out = ends.error().kind == ErrorKind::limit && plan.remark.empty();
        std::string reason = ran_out ? "the hold ran out: its first bytes were read before they could be judged"
                                     : ends.error().text();
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
    if (auto old = by_original.find(plan.input); old != by_original.end()) {
        std::string superseded = old->second;
        forget_session(superseded, false);
        events.superseded(superseded);
    }
    candidates.erase(plan.input);
    PeerIdentity client = client_of(plan.pid, plan.input);
    Session session{new_id(), plan.pid, ends->input, ends->output, ends->new_input, ends->new_output, server, match};
    // The original stays watched: a thread that was reading it during the swap is caught there.
    cg_channel mark{CG_WATCH, static_cast<uint32_t>(ends->input_kind), static_cast<uint32_t>(plan.pid), 0, plan.output};
    (void)programs->watch(plan.input, mark);
    by_original[session.input] = session.id;
    by_replacement[session.new_input] = session.id;
    by_replacement[session.new_output] = session.id;
    TakenServer taken_server{session.id, std::move(server), std::move(client), match.policy, std::move(*ends),
                             plan.start, names_a_program(*match.policy), plan.remark};
    sessions[session.id] = std::move(session);
    events.taken(std::move(taken_server));
}

std::string Watcher::State::new_id() { return std::string(ids.next(realtime_ns() / 1'000'000).view()); }

void Watcher::State::report_blind(pid_t pid, ServerIdentity server, const PolicyStore::Match& match, std::string reason) {
    BlindServer blind{new_id(), std::move(server), {}, match.policy, std::move(reason), false};
    if (auto peer = identify_peer(parent_of(pid))) blind.client = std::move(*peer);
    if (match.policy->on_blind() == OnBlind::kill) {
        if (auto pidfd = open_pidfd(pid))
            blind.killed = syscall(SYS_pidfd_send_signal, pidfd->get(), SIGKILL, nullptr, 0) == 0;
    }
    events.blind(std::move(blind));
}

// A server that was released because it speaks another protocol stays watched: should it be sent MCP after all, the
// read is held and it is taken over again.
void Watcher::State::forget_session(const std::string& id, bool released_alive) {
    auto found = sessions.find(id);
    if (found == sessions.end()) return;
    Session& session = found->second;
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

// What runs already when the agent starts. Of several processes with the same input (npx, sh, node) the youngest is
// the server: the others only started it.
void Watcher::State::scan() {
    struct Running {
        ServerIdentity server;
        PolicyStore::Match match;
        StdioChannels channels;
    };
    std::vector<Running> running;
    for (pid_t pid : processes_in_scope(options.scope)) {
        auto server = identify_server(pid);
        if (!server) continue;
        auto channels = standard_channels(pid);
        bool may_have_moved = !channels && channel_of(pid, 0).kind == ChannelKind::none;
        if (!channels && !may_have_moved) continue;
        PolicyStore::Match match = find_policy(*server);
        if (!match.policy) continue;
        if (may_have_moved) channels = moved_channels(pid);
        if (channels) running.push_back({std::move(*server), match, *channels});
    }
    std::sort(running.begin(), running.end(), [](const Running& a, const Running& b) {
        const ProcessFacts &x = a.server.process, &y = b.server.process;
        // started within the same clock tick: the higher number is the younger, but for one wrap-around
        return std::tie(x.start_time, x.pid) > std::tie(y.start_time, y.pid);
    });
    for (Running& each : running) {
        const cg_channel_key& input = each.channels.input;
        if (by_original.count(input) || by_replacement.count(input) || candidates.count(input)) continue;
        pid_t pid = each.server.process.pid;
        if (names_a_program(*each.match.policy)) {
            Plan plan{pid, input, each.channels.output, Opening::Start::midway, monotonic_ns(), {}};
            take(plan, {}, std::move(each.server), each.match);
            continue;
        }
        cg_channel mark{CG_WATCH, static_cast<uint32_t>(each.channels.kind), static_cast<uint32_t>(pid), 0,
                        each.channels.output};
        if (programs->watch(input, mark))
            candidates[input] = Candidate{std::move(each.server), each.match, each.channels.output};
    }
}

}  // namespace callgate
