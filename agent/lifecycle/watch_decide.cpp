// From a kernel event to a decision.
#include <poll.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/fault_point.h"
#include "lifecycle/watch_state.h"

namespace callgate {
namespace {

// Reads of a channel that a user's name alone points to, before it is left alone.
constexpr int kReadsWithoutVerdict = 64;
// Bytes of a held read that are looked at.
constexpr size_t kPeekBytes = kReadBytes;
// A batch of events takes far less, but a busy host can keep the other thread's virtual processor from running.
constexpr int64_t kAwakeNanoseconds = 20'000'000;
// Events that wait in each half; one more that holds no thread is left out, and what runs is looked at again, as where the
// kernel's buffer was full.
constexpr size_t kWorkMax = 4096;
// A decision on who listens that takes longer than this is waited for in a stop.
constexpr int64_t kListenNanoseconds = 5'000'000;

constexpr char kTooManyChannels[] = "too many channels are watched: its first bytes may not have been judged";

// Held at the end of its listen(2).
bool has_listened(const cg_event& event) { return event.kind == CG_EVENT_UNIX_LISTEN || event.kind == CG_EVENT_LISTENED; }

}  // namespace

// The other thread hears on another processor and is soon done, so it is waited for awake. Were this one to sleep, a reader
// on its processor that made way for it (hold_here() in channel.bpf.c) would go on before its event has been looked at.
std::unique_lock<std::mutex> Watcher::State::hear() {
    std::unique_lock lock(hearing, std::try_to_lock);
    for (const int64_t end = monotonic_ns() + kAwakeNanoseconds; !lock && monotonic_ns() < end;) (void)lock.try_lock();
    if (!lock) lock.lock();  // the other one does not get its own processor
    return lock;
}

void Watcher::State::listen() {
    halves[own_half].pulse.beat();
    auto lock = hear();
    programs->poll();
    stop_overdue();
    listeners->steer_overdue();
}

// Who has listened is held until the turn comes to decide on it: should that take long, it waits where it keeps no processor.
void Watcher::State::stop_overdue() {
    const int64_t before = monotonic_ns() - kListenNanoseconds;
    for (Work& each : halves[own_half].work) {
        if (!has_listened(each.event) || each.thread.tracee || static_cast<int64_t>(each.event.hold.since_ns) > before) continue;
        const auto tid = static_cast<pid_t>(each.event.tid);
        auto hold = programs->hold_of(tid);
        if (!hold || hold->since_ns != each.event.hold.since_ns) continue;
        auto tracee = Tracee::interrupt(tid, help.while_waiting);
        if (!tracee) continue;
        each.thread.tracee = std::move(*tracee);
        programs->release(tid);
    }
}

void Watcher::State::on_event(const cg_event& event) {
    if (event.kind == CG_EVENT_EXEC) {
        if (taking) leave_to_other_half(event);
        return;
    }
    if (event.kind == CG_EVENT_EXIT && !seize_exiting(event)) return;
    Work next{event, {}, std::nullopt, 0};
    if (event.kind == CG_EVENT_READ) {
        auto tid = static_cast<pid_t>(event.tid);
        auto hold = programs->hold_of(tid);
        if (!hold || hold->since_ns != event.hold.since_ns) {
            if (event.hold.state != CG_YIELDED || !taking) return;
            next.went_on();  // before anybody knew
            return put_in(std::move(next));
        }
        if (Tracee::is_ours(tid)) {
            if (hold->state == CG_YIELDED) hold->state = CG_HOLDING;  // it stops on its way out
            caught[tid] = event;
            caught[tid].hold = *hold;
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
    if (has_listened(event) && !taking) programs->release(static_cast<pid_t>(event.tid));
    if (taking || event.kind == CG_EVENT_EXIT) put_in(std::move(next));
}

// Of what holds no thread there can be any number.
void Watcher::State::put_in(Work next) {
    std::deque<Work>& mine = halves[own_half].work;
    const bool unseen = next.event.kind == CG_EVENT_UNSEEN;
    if ((unseen || next.event.kind == CG_EVENT_EXPIRED) && mine.size() >= kWorkMax) {
        ++(unseen ? left.unseen : left.expired);
        return;
    }
    mine.push_back(std::move(next));
}

// The next such read of the channel is an event again. A mark of an exec is decided on with that.
void Watcher::State::tell_again(const cg_event& event) {
    auto mark = programs->find(event.channel);
    if (!mark) return programs->forget(event.channel);
    if (mark->state == CG_WATCH) (void)programs->watch(event.channel, *mark);
}

// What the other half has heard of goes first where it was read first from the same channel.
bool Watcher::State::comes_after_some(const Work& work, const std::deque<Work>& others) {
    if (work.event.kind != CG_EVENT_READ) return false;
    return std::any_of(others.begin(), others.end(), [&](const Work& each) {
        return each.event.kind == CG_EVENT_READ && each.event.channel == work.event.channel &&
               each.event.hold.since_ns < work.event.hold.since_ns;
    });
}

std::optional<Watcher::State::Work> Watcher::State::next_work() {
    auto lock = hear();
    std::deque<Work>& mine = halves[own_half].work;
    const int64_t now = monotonic_ns();
    auto found = std::find_if(mine.begin(), mine.end(), [&](const Work& each) {
        return each.not_before_ns <= now && !comes_after_some(each, halves[1 - own_half].work);
    });
    if (found == mine.end()) return std::nullopt;
    Work next = std::move(*found);
    mine.erase(found);
    return next;
}

void Watcher::State::work_on(Work work) {
    switch (work.event.kind) {
        case CG_EVENT_READ: return on_read(std::move(work));
        case CG_EVENT_EXPIRED: return on_unjudged(work.event);
        case CG_EVENT_UNSEEN: on_unjudged(work.event); return tell_again(work.event);
        case CG_EVENT_EXIT: return on_exiting(work.event);
        case CG_EVENT_UNIX_LISTEN: return unix_servers->on_listen(work.event);
        case CG_EVENT_LISTENED:  // its listen() was heard before, and is decided on now that it has a port
            listeners->work();
            return programs->release(static_cast<pid_t>(work.event.tid));
    }
}

// What processes have made, and how much of it, decides what it takes to look at them: where that cannot be had, it is this
// one that is not governed, and the agent goes on.
void Watcher::State::try_to_decide(const cg_event& event, const std::function<void()>& decide) {
    std::string problem;
    try {
        return decide();
    } catch (const std::exception& thrown) {
        problem = thrown.what();
    }
    ++failed;
    try {
        report_undecided(event, "it could not be looked at: " + problem);
    } catch (const std::exception&) {  // nor can it be told who it is: status counts it
    }
    programs->release(static_cast<pid_t>(event.tid));
}

void Watcher::State::report_undecided(const cg_event& event, std::string problem) {
    const auto pid = static_cast<pid_t>(event.tgid);
    auto server = identify_server(pid);
    if (!server) return;
    PolicyStore::Match match = find_policy(*server);
    const auto known = by_original.find(event.channel);
    if (!match.policy && known != by_original.end()) match = sessions[known->second].match;
    if (match.policy) report_blind(pid, std::move(*server), match, std::move(problem));
}

void Watcher::State::turn_once() {
    listen();
    listeners->work();
    for (;;) {
        earlier->settle();
        // What is held goes first.
        if (auto next = next_work()) {
            const cg_event event = next->event;
            try_to_decide(event, [&] { work_on(std::move(*next)); });
        } else if (auto started = next_program()) {
            try_to_decide(*started, [&] {
                if (taking) on_exec(*started);
            });
        } else {
            return;
        }
        listen();
        listeners->work();  // who listens is waiting for it
    }
}

PolicyStore::Match Watcher::State::find_policy(ServerIdentity& server) {
    ++identified;
    PolicyStore::Match match = options.policies->find(server, [this] { listen(); });
    if (!match.policy) match.policy = for_unnamed;
    return match;
}

bool Watcher::State::names_port(uint16_t port) const {
    std::string end = ":" + std::to_string(port);
    const auto& all = options.policies->policies();
    return std::any_of(all.begin(), all.end(), [&](const auto& policy) { return policy->match().listen.ends_with(end); });
}

bool Watcher::State::names_address() const {
    const auto& all = options.policies->policies();
    return std::any_of(all.begin(), all.end(), [](const auto& policy) { return !policy->match().listen.empty(); });
}

// Its first read is told: only then is it known whether it speaks MCP. Where the kernel's table is full, nobody would tell.
void Watcher::State::watch_candidate(const cg_channel_key& input, uint32_t kind, pid_t pid, Candidate candidate) {
    if (programs->watch(input, {CG_WATCH, kind, static_cast<uint32_t>(pid), 0, candidate.output}))
        candidates[input] = std::move(candidate);
}

// Of programs that have ended: what they may have forked has their input as its own. So those that stay are no more than there
// are processes, whoever keeps how many of them open.
void Watcher::State::forget_orphans() {
    if (candidates.size() < orphans_due) return;
    std::unordered_set<uint64_t> inputs;
    for (const pid_t pid : all_processes()) inputs.insert(channel_of(pid, 0).channel.inode);
    std::erase_if(candidates, [&](const auto& entry) {
        if (entry.second.server.process.pid || inputs.count(entry.first.inode)) return false;
        if (!by_original.count(entry.first)) programs->forget(entry.first);
        return true;
    });
    orphans_due = std::max(kOrphansAtLeast, 2 * candidates.size());
}

// The mark that an exec made goes, unless a later exec has renewed it or somebody else is watched there.
void Watcher::State::forget_channel(const cg_channel_key& channel, pid_t made_by) {
    if (candidates.count(channel) || by_original.count(channel)) return;
    auto mark = programs->find(channel);
    if (mark && static_cast<pid_t>(mark->pid) == made_by) programs->forget(channel);
}

// Its reader is named by no policy. Who is watched there may be another one, which is.
void Watcher::State::leave_alone(const cg_channel_key& channel) {
    auto candidate = candidates.find(channel);
    if (candidate != candidates.end() && candidate->second.match.policy) return;
    candidates.erase(channel);
    programs->forget(channel);
}

void Watcher::State::on_input_out_of_reach(pid_t pid, ServerIdentity server) {
    PolicyStore::Match match = find_policy(server);
    if (!match.policy || !names_a_program(*match.policy)) return;
    report_blind(pid, std::move(server), match,
                 "standard input: a socket of packets or one that was connected over TCP is not governed");
}

void Watcher::State::on_exec(const cg_event& event) {
    auto pid = static_cast<pid_t>(event.tgid);
    if (event.channel_kind == CG_KIND_NONE) {
        if (auto server = identify_server(pid)) on_input_out_of_reach(pid, std::move(*server));
        return;
    }
    if (by_replacement.count(event.channel)) {
        programs->forget(event.channel);  // a child of a governed server, on the governed channel
        return;
    }
    auto known = by_original.find(event.channel);
    const bool has_output = event.output.inode != 0;
    if (known != by_original.end() && (!has_output || sessions[known->second].has(pid))) return;
    auto watch = [&](Candidate candidate) { watch_candidate(event.channel, event.channel_kind, pid, std::move(candidate)); };
    fault_point("to be identified");
    auto server = identify_server(pid);
    if (!server) {  // it has ended, but what it may have forked reads its input
        if (known == by_original.end() && !candidates.count(event.channel)) watch({{}, {}, event.output});
        return forget_orphans();
    }
    PolicyStore::Match match = find_policy(*server);
    // Whatever has a governed input can read what is meant for the server.
    if (!match.policy && known != by_original.end()) match = sessions[known->second].match;
    if (!match.policy) return forget_channel(event.channel, pid);
    if (known == by_original.end() && unix_servers->on_exec(event, *server, match)) return;
    const bool is_named = names_a_program(*match.policy);
    // Nothing that it has read by now was held.
    const bool unheld = programs->counter(CG_COUNT_CHANNELS_FULL) && !programs->find(event.channel);
    if (is_named && unheld) {
        report_blind(pid, *server, match, kTooManyChannels);
        if (match.policy->on_blind() == OnBlind::kill) return;
    }
    if (!is_named || !has_output) return watch({std::move(*server), match, event.output});
    Plan plan{pid, event.channel, event.output, Opening::Start::fresh, monotonic_ns(), {}, {}};
    if (unheld) {
        plan.start = Opening::Start::midway;
        plan.remark = kTooManyChannels;
    }
    take(plan, {}, std::move(*server), match);
}

// A thread that did not wait in the kernel was stopped before it was back in user code, if it is still where its read ends.
bool Watcher::State::was_in_time(StoppedThread& thread) const {
    if (!thread.hold || thread.hold->state != CG_YIELDED) return true;
    const Registers& now = thread.tracee->registers();
    const cg_hold& hold = *thread.hold;
    bool in_time = now.is_at(hold.instruction, hold.stack) && now.result() == hold.result && now.system_call() == hold.syscall;
    thread.hold->state = in_time ? CG_HOLDING : CG_EXPIRED;
    return in_time;
}

// What it read is missing in a session or a connection that there is.
bool Watcher::State::is_of_ours(const cg_event& event) const {
    const auto known = by_original.find(event.channel);
    if (known == by_original.end()) return earlier->has_taken(event.channel);
    return sessions.at(known->second).has(static_cast<pid_t>(event.tgid));
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

    if (reading.thread.tracee && !was_in_time(reading.thread)) {
        reading.thread = {};
        reading.went_on();
        return on_unjudged(event);
    }
    if (!taking && !is_of_ours(event)) return;  // it waited for its turn while the other half began the stop
    if (event.channel_kind == CG_KIND_TCP && !by_original.count(event.channel))
        return earlier->on_read(event, std::move(reading.thread), reading.refused);
    if (event.channel_state == CG_ACCEPTED || event.channel_state == CG_UNKNOWN || unix_servers->follows(event.channel))
        return unix_servers->on_read(event, std::move(reading.thread), reading.refused);
    auto known = by_original.find(event.channel);
    if (known != by_original.end() && sessions[known->second].has(pid)) {
        ++late_reads;
        if (!reading.thread.tracee) return;
        auto read = take_back_read(std::move(reading.thread));
        const Session& session = sessions[known->second];
        if (!read && (read.error().kind == ErrorKind::refused || read.error().kind == ErrorKind::limit))
            return report_blind(pid, session.server, session.match, read.error().text() + ": a part of it was not judged");
        if (read && !read->bytes.empty()) events.late_bytes(session.id, std::move(read->bytes));
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
        // A fork of the server, under another name: what started it still says what it is.
        if (!match.policy && candidate != candidates.end()) match = candidate->second.match;
        if (!match.policy && known != by_original.end()) match = sessions[known->second].match;
    }
    if (!match.policy) {
        leave_alone(event.channel);
        ++released;
        return;
    }
    Plan plan{pid, event.channel, output, Opening::Start::fresh, static_cast<int64_t>(event.hold.since_ns), {}, {}};
    bool released_before = candidate != candidates.end() && candidate->second.released;
    const bool has_output = output.inode != 0 || known != by_original.end();
    const bool is_named = names_a_program(*match.policy);
    // Without a channel to answer on it is told of, and ends perhaps: that should be for what a client says.
    const bool is_certain = is_named && has_output && !released_before;
    if (!is_certain) {
        auto bytes = peek_read(event.hold, kPeekBytes);
        if (!bytes) bytes = std::string("{");  // unreadable: judge it
        const auto is_governed = [&](std::string_view method) { return match.policy->says_anything_of_clients_method(method); };
        Protocol protocol = classify_bytes(*bytes, parser, is_governed);
        // JSON that has not ended yet may be anything; what is complete must look like a message.
        bool may_be_call = protocol == Protocol::json_like && (bytes->back() != '\n' || may_hide_a_call(*bytes));
        may_be_call |= event.hold.result > static_cast<int64_t>(kPeekBytes);  // what has not been looked at
        if (!is_named && !has_output) may_be_call = false;  // any program of a user's: it is not ended for what it may be
        if (protocol != Protocol::mcp && !may_be_call) {
            ++released;
            const bool may_forget = candidate != candidates.end() && !released_before && !is_named;
            if (may_forget && ++candidate->second.reads > kReadsWithoutVerdict) {
                candidates.erase(candidate);
                programs->forget(event.channel);
            }
            return;
        }
        if (protocol == Protocol::mcp) plan.start = Opening::Start::decided;
    }
    // No relay can be put before a file or a terminal. What such a server is about to read may be what must be denied.
    if (!reading.refused && !has_output)
        reading.refused = Error::refused("standard output", "it is neither a pipe nor a socket of its client");
    if (reading.refused) {
        report_blind(pid, server, match, reading.refused->text());
        programs->forget(event.channel);
        candidates.erase(event.channel);
        return;
    }
    take(plan, std::move(reading.thread), std::move(server), match);
}

void Watcher::State::on_unjudged(const cg_event& event) {
    const bool unseen = event.kind == CG_EVENT_UNSEEN;
    if (unseen)
        fault_point("to be told");
    else
        ++expired;
    auto pid = static_cast<pid_t>(event.tgid), tid = static_cast<pid_t>(event.tid);
    auto hold = programs->hold_of(tid);
    // And by nobody handled.
    const bool was_seen =
        event.hold.state == CG_EXPIRED || (hold && hold->state == CG_EXPIRED && hold->since_ns == event.hold.since_ns);
    if (hold && hold->state == CG_EXPIRED) programs->release(tid);
    if (event.channel_kind == CG_KIND_TCP && !by_original.count(event.channel)) return earlier->on_unjudged(event);
    if (event.channel_state == CG_ACCEPTED || event.channel_state == CG_UNKNOWN || unix_servers->follows(event.channel))
        return unix_servers->on_unjudged(event);
    if (auto known = by_original.find(event.channel); known != by_original.end()) {
        if (!unseen && !was_seen) return;
        const Session& session = sessions[known->second];
        if (unseen) {
            programs->forget(event.channel);  // said once; by the session's start where nobody knew yet what it is
            if (!names_a_program(*session.match.policy)) return;
        }
        return report_blind(pid, session.server, session.match, why_unjudged(event) + ": a part of it was not judged");
    }
    auto server = identify_server(pid);
    if (!server) return;
    PolicyStore::Match match = find_policy(*server);
    if (!match.policy) return leave_alone(event.channel);
    std::string reason = why_unjudged(event) + ": its first bytes were not judged";
    if (unseen && event.hold.syscall == SYS_io_uring_enter) {
        // The read is under way and keeps the original: both would read it. A program that no policy names is not killed
        // for what may be no MCP at all.
        programs->forget(event.channel);
        candidates.erase(event.channel);
        if (names_a_program(*match.policy)) return report_blind(pid, *server, match, why_unjudged(event));
        return events.blind({new_id(), *server, {}, match.policy, why_unjudged(event), false, {}});
    }
    // Where nothing can be seen of what was read, nobody knows yet whether it is MCP at all.
    if (!unseen || names_a_program(*match.policy)) {
        report_blind(pid, *server, match, reason);
        if (match.policy->on_blind() == OnBlind::kill) return;
    }
    if (!taking) return;
    Plan plan{pid, event.channel, event.output, Opening::Start::midway, monotonic_ns(), reason, {}};
    take(plan, {}, std::move(*server), match);
}

}  // namespace callgate
