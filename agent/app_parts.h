// What the daemon consists of, for the files that make it up:
//
//   app.cpp           the steps of start-up and teardown, in order
//   app_start.cpp     configuration, and what is there before the loop runs
//   app_limits.cpp    what this process may have, and for how many sessions that does
//   app_watcher.cpp   the kernel's side: what it tells goes to the loop's thread
//   app_policies.cpp  policies that change while the agent runs, and what is wrong
//   app_control.cpp   what the control socket answers
//   app_ending.cpp    a stop, a restart, signals
//   app_leftovers.cpp what an agent before has left, where none can go on with it
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app.h"
#include "base/clock.h"
#include "base/worker.h"
#include "control/server.h"
#include "kernel/doctor.h"
#include "lifecycle/http_table.h"
#include "lifecycle/kept_approvals.h"
#include "lifecycle/kept_counters.h"
#include "lifecycle/planned_restart.h"
#include "lifecycle/policy_watch.h"
#include "lifecycle/session_table.h"
#include "store/database.h"

namespace callgate {

class Ending;

// What the daemon consists of, in the order in which it is built; it goes in the reverse order.
struct App {
    RunOptions options;
    Config config;
    std::shared_ptr<const PolicyStore> policies;
    std::vector<PolicyProblem> problems;  // of the state directory
    std::shared_ptr<const GrantStore> grants;
    std::string reload_error;  // the policies could not be read again
    Carrier carrier = Carrier::from_environment();
    std::unique_ptr<KeptMemory> memory;  // outlives the audit log, and this process
    std::unique_ptr<Worker> worker;      // it and the threads that it starts may trace and load programs
    std::unique_ptr<Ring> ring;
    std::optional<Error> unlimited, unconfined;  // why it holds more than its work takes; why the others may do that too
    std::unique_ptr<AuditLog> audit;
    std::unique_ptr<Database> database;      // state.db
    std::unique_ptr<KeptCounters> counters;  // outlives the table, which sessions have
    std::unique_ptr<SessionTable> sessions;
    std::unique_ptr<KeptApprovals> approvals;
    std::unique_ptr<HttpTable> http;
    std::unique_ptr<Watcher> watcher;  // null until the kernel's side is loaded, while resumed sessions go on already
    std::optional<Error> start_error;
    std::atomic<bool> ready{false};
    bool kept_for_next = false;
    bool restart_failed = false;  // the next agent is to start all the same
    std::unique_ptr<PolicyWatch> policy_watch;
    std::unique_ptr<ControlServer> control;
    std::unique_ptr<GovernedUntil> governed_until;  // outlives the watcher
    Fd signals;
    std::unique_ptr<Vault> vault;        // of the live sessions; null where nobody keeps it
    std::vector<Vault::Found> steering;  // left in it by an agent before
    std::unique_ptr<PlannedRestart> restart;
    std::unique_ptr<Ending> ending;
    std::function<void()> when_ready;  // a stop that was asked for before
    int64_t started_ns = realtime_ns();
    std::atomic<bool> loop_has_ended{false};
};

// --- app.cpp
void start_logging(bool verbose);

// --- app_start.cpp
// Gives up what no part of the agent needs, starts the worker, makes the ring, and confines this thread and those that it
// starts from then on.
Status confine(App& app);
int fail(int exit_code, const Error& error);
int exit_code_of(const Error& error);
// What the command line says in place of the file.
void apply_options(const RunOptions& options, Config& config);
enum class Needed { everything, scope };
// 0, or an exit code; what is wrong has been said. Where only the scope is needed, other keys that are wrong are left out.
int configure(App& app, Needed needed = Needed::everything);
Status start(App& app);
// Tells systemd, where it asks for that, that the loop goes round.
void start_watchdog(App& app);

// --- app_limits.cpp
// What the kernel does at once for a process with a single thread, and for others only when every processor has come by: tens of
// milliseconds on a busy host, in which the sessions of the agent before would wait.
void prepare_process();
// Raises what can be raised. An error where a single session would not fit, a problem where few do; both say which limit it is,
// what it is, and what to do.
Status check_limits(std::vector<PolicyProblem>& problems);
// The same for doctor: of the agent that runs as this process, or of an agent that is started from here.
Result<std::vector<Check>> limit_checks(std::optional<pid_t> agent);

// --- app_watcher.cpp
// Goes on in the worker, until the agent is ready or cannot be.
void start_watcher(App& app);

// --- app_policies.cpp
std::vector<std::string> problems_of(const App& app);
void record_problems(App& app);
Status start_policy_watch(App& app);
// What a policy-less server is governed by.
std::shared_ptr<const Policy> policy_of_unnamed(const App& app);

// --- app_control.cpp
Status start_control(App& app);

// --- app_leftovers.cpp
// Of the carrier, or new. Counts this start.
Status open_memory(App& app);
// This start follows so many in vain that no other agent is waited for.
bool is_last_start(const App& app);
// One more, as a service of systemd: it fails then, and is not started without end, so that the guard begins.
bool gives_up(const App& app);
// Of an exit code: trying again mends nothing, and the unit and the keeper do not.
bool is_permanent(int exit_code);
// Each session that an agent before has left goes back to its own channels, or ends: see SessionTable::release_all(). Takes
// seconds at most. Nothing else of `app` needs to be there but, where it could be read, the configuration.
void release_leftovers(App& app);
// The same of sessions that this agent has resumed, where it could not start, and connections end; else sessions wait for the
// next one. Ends the loop.
void leave_resumed(App& app, int exit_code);

// --- app_ending.cpp
// The next agent reads the same files: one that cannot start would end every session.
Status next_agent_can_start(const App& app);
// A policy that is in force, and whose file is bad now: the next agent would not have the last good version.
Status policies_can_go_on(const App& app);

// Ends the agent in one of two ways, once.
class Ending {
  public:
    explicit Ending(App& app) : app_(app) {}

    // Every session goes back to its own channels.
    void hand_back();
    // Every session goes on with the next agent; where it cannot be kept for that one, it is handed back.
    void restart();

    bool has_begun() const { return begun_; }
    void begin(void (Ending::*how)());

  private:
    void hand_back_what_is_there();
    void one_is_done();
    App& app_;
    bool begun_ = false;
    int done_ = 0;  // of the two tables
};

// SIGTERM and SIGINT: the end, or a restart if systemd says so. SIGHUP: the audit file was rotated, or the policies are to be
// read again.
class SignalReader : public Completion {
  public:
    explicit SignalReader(App& app) : app_(app) {}
    void arm() { app_.ring->poll_readable(app_.signals.get(), this); }
    void complete(int, std::string_view) override;

  private:
    bool restart_is_wanted() const;
    App& app_;
};

}  // namespace callgate
