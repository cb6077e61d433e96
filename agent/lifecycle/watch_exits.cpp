// The end of a governed server: whoever waits for it learns of it after the last of its output, as without the agent.
//
// The kernel holds its exit until it has been seized (ptrace(2), "exit": a tracer is told of a zombie before the parent
// is). Nothing stops and nothing else changes: it closes its files and is a zombie of ours until the session has passed
// everything on. Then it is reaped, and the parent has it. Should this thread end first, the kernel does the same.
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "lifecycle/watch_state.h"

namespace callgate {

// As soon as the event is heard: the process keeps a processor meanwhile.
bool Watcher::State::seize_exiting(const cg_event& event) {
    auto tid = static_cast<pid_t>(event.tid);
    auto hold = programs->hold_of(tid);
    if (!hold || hold->since_ns != event.hold.since_ns || hold->state != CG_HOLDING) return false;
    // Close to the end of the hold it might be gone in the next moment, and its number somebody else's.
    bool in_time = monotonic_ns() - static_cast<int64_t>(hold->since_ns) < static_cast<int64_t>(kHoldNanoseconds / 2);
    bool seized = in_time && !Tracee::is_ours(tid) && ptrace(PTRACE_SEIZE, tid, nullptr, 0L) == 0;
    if (!seized) ++exits_unheld;
    programs->release(tid);
    return seized;
}

void Watcher::State::on_exiting(const cg_event& event) {
    exiting[static_cast<pid_t>(event.tid)] = static_cast<int64_t>(event.hold.since_ns);
    reap();
}

void Watcher::State::reap() {
    for (auto each = exiting.begin(); each != exiting.end();) {
        auto [pid, since_ns] = *each;
        bool delivered = !governed.count(pid);
        bool overdue = !delivered && monotonic_ns() - since_ns > kExitNanoseconds;
        // 0: it is still closing its files, or another of its threads is
        if ((!delivered && !overdue) || waitpid(pid, nullptr, __WALL | WNOHANG) == 0) {
            ++each;
            continue;
        }
        exits_overdue += overdue;
        governed.erase(pid);
        each = exiting.erase(each);
    }
    some_exiting = !exiting.empty();
}

void Watcher::State::govern(const std::string& session_id, pid_t pid) {
    governed.insert(pid);
    undrained[session_id].push_back(pid);
    programs->govern(pid);
}

void Watcher::State::session_drained(const std::string& session_id) {
    auto found = undrained.extract(session_id);
    if (!found) return;
    for (pid_t pid : found.mapped()) {
        governed.erase(pid);
        programs->ungovern(pid);
    }
    reap();
}

}  // namespace callgate
