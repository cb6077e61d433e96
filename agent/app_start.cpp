#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>

#include <chrono>
#include <functional>

#include "app_parts.h"
#include "base/capabilities.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/trouble.h"
#include "exit_codes.h"
#include "kernel/confinement.h"
#include "lifecycle/startable.h"
#include "takeover/tracee.h"

namespace callgate {
namespace {

Status block_signals(App& app) {
    signal(SIGPIPE, SIG_IGN);
    sigset_t handled;
    sigemptyset(&handled);
    for (int each : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&handled, each);
    if (int error = pthread_sigmask(SIG_BLOCK, &handled, nullptr)) return Error::system("pthread_sigmask", "", error);
    app.signals = Fd::adopt(signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!app.signals) return Error::system("signalfd", "", errno);
    return {};
}

constexpr int kFeedsPerLimit = 4;

// By the loop that relays, while the watcher gets on, too: where one of them hangs, nobody says so, and the agent is started
// again. The watcher has as long again.
void feed_watchdog(App& app, std::chrono::microseconds interval) {
    if (!app.watcher || app.watcher->is_alive(kFeedsPerLimit)) sd_notify(0, "WATCHDOG=1");
    app.ring->after(interval, [&app, interval] { feed_watchdog(app, interval); });
}

// In the log when it begins and when it is over; meanwhile it stands in the status, too.
void watch(Trouble& trouble, const char* what, const std::function<void()>& begins = nullptr) {
    trouble.watch([what, begins](const std::string& text) {
        if (text.empty()) {
            spdlog::info("over: {}", what);
        } else {
            spdlog::error("{}: {}", what, text);
            if (begins) begins();
        }
    });
}

// Until they are on the disk: no server may list anything more before this agent ends.
void write_pins_again(App& app) {
    app.ring->after(std::chrono::nanoseconds(kPinWriteNanoseconds), [&app] {
        PinTable& pins = app.sessions->pins();
        pins.write_again(realtime_ns());
        if (!pins.problem().empty()) write_pins_again(app);
    });
}

}  // namespace

void apply_options(const RunOptions& options, Config& config) {
    if (!options.scope_trees.empty()) config.scope.trees.assign(options.scope_trees.begin(), options.scope_trees.end());
    if (!options.scope_cgroups.empty()) config.scope.cgroups = options.scope_cgroups;
    if (!options.audit_file.empty()) config.audit_file = options.audit_file;
    if (!options.state_directory.empty()) config.state_directory = options.state_directory;
    if (!options.control_socket.empty()) config.control_socket = options.control_socket;
}

int fail(int code, const Error& error) {
    spdlog::error("{}", error.text());
    return code;
}

int exit_code_of(const Error& error) {
    if (error.kind == ErrorKind::system && (error.code == EPERM || error.code == EACCES)) return kExitNotPermitted;
    bool by_configuration = error.kind != ErrorKind::system || error.code == ENOENT || error.code == ENOTDIR ||
                            error.code == EEXIST || error.code == EADDRINUSE || error.code == EROFS;
    return by_configuration ? kExitConfig : kExitInternal;
}

int configure(App& app, Needed needed) {
    apply_options(app.options, app.config);  // where there is no file, they still say where to write
    auto config = load_config(app.options.config_directory, app.problems);
    if (!config) {
        spdlog::error("{}; --config takes the directory that holds callgate.json (which may be just {{}})",
                      config.error().text());
        return kExitConfig;
    }
    app.config = std::move(*config);
    apply_options(app.options, app.config);
    for (const PolicyProblem& problem : app.problems) spdlog::error("{}", problem.text());
    if (!app.problems.empty() && !(needed == Needed::scope && scope_is_clear(app.problems))) return kExitConfig;
    auto policies = PolicyStore::load(app.options.config_directory + "/policies.d");
    if (!policies) {
        const bool is_absent = policies.error().kind == ErrorKind::system;
        spdlog::error("{}{}", policies.error().text(), is_absent ? "; policies are the *.json files of that directory" : "");
        return kExitConfig;
    }
    for (const PolicyProblem& problem : policies->problems()) spdlog::error("policy: {}", problem.text());
    app.policies = std::make_shared<const PolicyStore>(std::move(*policies));
    app.grants = std::make_shared<const GrantStore>(GrantStore::load(app.options.config_directory));
    for (const PolicyProblem& problem : app.grants->problems) spdlog::error("grants left out: {}", problem.text());
    if (needed == Needed::scope) return 0;
    const Status can = check_startable(app.config);
    return can ? 0 : fail(exit_code_of(can.error()), can.error());
}

void start_watchdog(App& app) {
    uint64_t limit_us = 0;
    if (sd_watchdog_enabled(0, &limit_us) > 0) feed_watchdog(app, std::chrono::microseconds(limit_us / kFeedsPerLimit));
}

Status confine(App& app) {
    if (const Status limited = limit_capabilities(kOfAgent); !limited) app.unlimited = limited.error();
    app.worker = std::make_unique<Worker>("cg-worker", &Tracee::let_go_of_those_left_behind);
    app.ring = TRY(Ring::create());
    if (const Status kept = keep_capabilities(kOfRelay); !kept) app.unlimited = kept.error();
    if (const Status confined = confine_this_thread(); !confined) app.unconfined = confined.error();
    return {};
}

Status start(App& app) {
    TRY_VOID(check_limits(app.problems));
    TRY_VOID(block_signals(app));
    if (app.unlimited)
        app.problems.push_back({"capabilities", 0, 0, "", "some stay that are not needed: " + app.unlimited->text()});
    if (app.unconfined)
        app.problems.push_back({"seccomp", 0, 0, "", "no thread of the agent is confined: " + app.unconfined->text()});
    app.audit = TRY(AuditLog::open(app.config.audit_file, app.config.state_directory + "/audit.secret",
                                   app.config.audit_arguments, app.memory.get()));
    watch(app.audit->trouble(), "audit records are lost");
    app.governed_until = TRY(GovernedUntil::open(app.config.state_directory));
    app.sessions = std::make_unique<SessionTable>(*app.ring, *app.worker, *app.audit, app.config);
    app.sessions->use_grants(app.grants->table);
    app.http = std::make_unique<HttpTable>(*app.ring, *app.audit, app.sessions->counters(), app.sessions->grants(),
                                           app.sessions->pins(), app.config);
    app.approvals = std::make_unique<KeptApprovals>(*app.ring, *app.audit, app.sessions->counters().waiting(), app.config);
    app.sessions->use_approvals(app.approvals->desk());
    app.http->use_approvals(app.approvals->desk());
    app.ending = std::make_unique<Ending>(app);
    TRY_VOID(start_policy_watch(app));
    TRY_VOID(start_control(app));
    // After that: of two agents with the same configuration, the second is told of the socket. The loop does not run yet.
    app.database = TRY(Database::open(database_path(app.config.state_directory)));
    TRY_VOID(app.approvals->open(*app.database));
    watch(app.approvals->trouble(), "approvals cannot be kept");
    app.approvals->use_policies(*app.policies);
    TRY_VOID(app.sessions->pins().keep_in(*app.database));
    watch(app.sessions->pins().trouble(), "pins are not kept", [&app] { write_pins_again(app); });
    std::string remark;
    app.counters = TRY(KeptCounters::open(app.config.state_directory, app.sessions->counters(), remark));
    watch(app.counters->trouble(), "what limits count would not outlive the agent");
    if (!remark.empty()) app.problems.push_back({app.config.state_directory, 0, 0, "", remark});
    return {};
}

}  // namespace callgate
