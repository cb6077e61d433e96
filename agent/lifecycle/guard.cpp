#include "lifecycle/guard.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "audit/record_id.h"
#include "base/clock.h"
#include "kernel/proc.h"
#include "kernel/process_sockets.h"
#include "lifecycle/session_json.h"

namespace callgate {
namespace {

constexpr std::string_view kListens = "it listens while no agent runs, and its policy fails closed";
constexpr std::string_view kStarted = "it started while no agent ran, and its policy fails closed";

// A program that only its user is named for may be no server at all.
bool names_a_program(const Policy& policy) { return policy.match().is_certain() || !policy.match().command.empty(); }

bool listens(pid_t pid) {
    if (!listening_sockets(pid).empty()) return true;
    const auto on_unix = bound_unix_sockets(pid);
    return std::any_of(on_unix.begin(), on_unix.end(), [](auto& each) { return each.listens; });
}

}  // namespace

Guard::Guard(Scope scope, const PolicyStore& policies, AuditLog& audit, std::optional<uint64_t> unseen_since)
    : scope_(std::move(scope)), policies_(policies), audit_(audit) {
    for (const pid_t pid : processes_in_scope(scope_)) {
        auto process = read_process(pid);
        if (process && (!unseen_since || process->start_time < *unseen_since)) known_[pid] = program_of(*process);
    }
}

Guard::Program Guard::program_of(const ProcessFacts& process) {
    Program program{process.start_time, process.exe, {}};
    for (const std::string& word : process.argv) program.command += word + '\0';
    return program;
}

size_t Guard::end_listening() {
    size_t ended = 0;
    for (const auto& [pid, program] : known_) {
        if (!listens(pid)) continue;
        auto process = read_process(pid);
        if (process && process->start_time == program.start_time) ended += end_if_closed(pid, *process, kListens);
    }
    return ended;
}

size_t Guard::round() {
    std::unordered_map<pid_t, Program> now;
    size_t ended = 0;
    for (const pid_t pid : processes_in_scope(scope_)) {
        auto process = read_process(pid);
        if (!process) continue;
        Program program = program_of(*process);
        const auto before = known_.find(pid);
        if (before == known_.end() || before->second != program) ended += end_if_closed(pid, *process, kStarted);
        now[pid] = std::move(program);
    }
    known_ = std::move(now);
    return ended;
}

// The descriptor is opened first: what is then found to be that server is what it ends.
bool Guard::end_if_closed(pid_t pid, const ProcessFacts& seen, std::string_view reason) {
    auto pidfd = open_pidfd(pid);
    auto server = identify_server(pid);
    if (!pidfd || !server || server->process.start_time != seen.start_time) return false;
    const PolicyStore::Match match = policies_.find(*server);
    if (!match.policy || match.policy->fail() != Fail::closed || !names_a_program(*match.policy)) return false;
    const bool killed = syscall(SYS_pidfd_send_signal, pidfd->get(), SIGKILL, nullptr, 0) == 0;
    SessionFacts facts;
    facts.session_id = ids_.next(realtime_ns() / 1'000'000).view();
    facts.transport = "stdio";
    facts.server = std::move(*server);
    if (auto peer = identify_peer(parent_of(pid))) facts.peer = std::move(*peer);
    facts.policy = match.policy->name();
    facts.policy_revision = match.policy->revision();
    facts.mode = mode_name(match.policy->mode());
    audit_.event("session_blind", audit_.describe(facts),
                 {{"state", "\"blind\""}, {"reason", json_text(reason)}, {"killed", killed ? "true" : "false"}});
    return killed;
}

}  // namespace callgate
