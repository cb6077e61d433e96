// The end of a governed server, the watcher's part: it is seized before the kernel tells anybody. See server_exits.h.
#include <sys/ptrace.h>

#include "base/clock.h"
#include "lifecycle/watch_state.h"

namespace callgate {

void Watcher::State::govern(const std::string& session_id, pid_t pid) {
    governed[pid] = session_id;
    programs->govern(pid);
}

void Watcher::State::ungovern(const Session& session) {
    for (pid_t pid : session.pids) {
        auto found = governed.find(pid);
        if (found == governed.end() || found->second != session.id) continue;
        governed.erase(found);
        programs->ungovern(pid);
    }
}

// As soon as the event is heard: the process occupies a processor meanwhile. It goes on at once, and nothing stops.
bool Watcher::State::seize_exiting(const cg_event& event) {
    auto tid = static_cast<pid_t>(event.tid);
    auto hold = programs->hold_of(tid);
    bool holds = hold && hold->since_ns == event.hold.since_ns;
    // Close to the end of the hold it might be gone in the next moment, and its number somebody else's.
    bool in_time = holds && monotonic_ns() - static_cast<int64_t>(hold->since_ns) < static_cast<int64_t>(kHoldNanoseconds / 2);
    bool seized = in_time && !Tracee::is_ours(tid) && ptrace(PTRACE_SEIZE, tid, nullptr, 0L) == 0;
    ++(seized ? exits_held : exits_unheld);
    if (!in_time) ++exits_expired;
    if (holds) programs->release(tid);
    return seized;
}

void Watcher::State::on_exiting(const cg_event& event) {
    auto pid = static_cast<pid_t>(event.tgid);
    std::string session_id;
    if (auto found = governed.extract(pid)) session_id = std::move(found.mapped());
    if (auto session = sessions.find(session_id); session != sessions.end()) std::erase(session->second.pids, pid);
    events.exiting(std::move(session_id), pid, static_cast<int64_t>(event.hold.since_ns));
}

}  // namespace callgate
