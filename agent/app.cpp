#include "app.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "app_parts.h"
#include "audit/safe_text.h"
#include "base/clock.h"
#include "exit_codes.h"
#include "kernel/scope.h"

namespace callgate {
namespace {

// A message is one line, whatever is in it: command lines and names of packages are their owners' to choose.
class SafeText : public spdlog::custom_flag_formatter {
  public:
    void format(const spdlog::details::log_msg& message, const tm&, spdlog::memory_buf_t& line) override {
        const std::string text = terminal_text({message.payload.data(), message.payload.size()});
        line.append(text.data(), text.data() + text.size());
    }
    std::unique_ptr<spdlog::custom_flag_formatter> clone() const override { return std::make_unique<SafeText>(); }
};

}  // namespace

void start_logging(bool verbose) {
    auto logger = spdlog::stderr_color_mt("callgate");
    auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
    formatter->add_flag<SafeText>('*').set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %*");
    logger->set_formatter(std::move(formatter));
    spdlog::set_default_logger(logger);
    spdlog::set_level(verbose ? spdlog::level::debug : spdlog::level::info);
}

int run_agent(const RunOptions& options) {
    start_logging(options.verbose);
    if (geteuid() != 0) {
        spdlog::error("run as root: loading BPF programs and taking over other users' servers needs it");
        return kExitNotPermitted;
    }
    if (const Status entered = enter_cgroups_of_host(); !entered)
        spdlog::warn(
            "{}: this container has a cgroup namespace of its own, so no server is known by its unit or image, and no"
            " caller by cgroup, unit or container",
            entered.error().text());
    App app;
    app.options = options;
    prepare_process();
    if (Status confined = confine(app); !confined) return fail(exit_code_of(confined.error()), confined.error());
    if (Status opened = open_memory(app); !opened) return fail(exit_code_of(opened.error()), opened.error());
    const int configured = configure(app);
    if (configured || is_last_start(app)) release_leftovers(app);
    if (configured) return configured;
    if (gives_up(app)) {
        spdlog::error("none of {} agents in a row was ready: this service fails, and the guard begins", kStartsMax);
        return kExitGivesUp;
    }
    if (Status started = start(app); !started) {
        const int code = fail(exit_code_of(started.error()), started.error());
        if (is_permanent(code)) release_leftovers(app);
        return code;
    }

    app.audit->event("agent_start", nullptr, {{"version", "\"" CALLGATE_VERSION "\""}, {"pid", std::to_string(getpid())}});
    std::vector<std::string> lost;
    resume_sessions(app.carrier, *app.worker, app.vault, *app.sessions, *app.http, *app.audit, *app.policies,
                    policy_of_unnamed(app), app.steering, lost,
                    [&app](std::string_view turn) { return app.approvals->take_back(turn); });
    if (app.vault) app.http->use_vault(*app.vault, std::move(app.steering));
    for (const std::string& problem : lost) spdlog::error("{}", problem);
    record_problems(app);
    SignalReader signals(app);
    signals.arm();
    start_watchdog(app);
    // What sessions have waiting goes first: the worker, too, needs a processor.
    app.ring->after(std::chrono::nanoseconds(0), [&app] { start_watcher(app); });
    app.ring->run();

    app.loop_has_ended = true;
    if (app.kept_for_next && !app.start_error) {
        app.sessions->pins().write_again(realtime_ns());
        // Whoever has asked for it gets an answer. No other thread is waited for: the next agent waits for the end of this
        // process, and the kernel takes down faster what it can do by itself.
        app.control.reset();
        app.approvals->abandon_webhook();
        app.audit->event("agent_stop", nullptr, {{"restart", "true"}});
        app.audit.reset();
        spdlog::info("stopped; the sessions are kept for the next agent");
        std::_Exit(0);
    }
    app.control.reset();
    app.worker.reset();
    app.policy_watch.reset();
    if (app.start_error) {
        if (!app.kept_for_next) app.http.reset();  // its sessions end
        app.approvals->abandon_webhook();
        app.audit.reset();
        std::_Exit(exit_code_of(*app.start_error));
    }
    if (app.watcher) app.watcher->stop();
    app.governed_until->forget();
    app.http.reset();  // its sessions end; it uses the watcher's maps
    app.approvals->abandon_webhook();
    app.audit->event("agent_stop", nullptr, {});
    app.watcher.reset();
    app.approvals.reset();  // no session asks it any more
    app.sessions.reset();
    app.audit.reset();
    spdlog::info("stopped");
    // 0 would be the end to a keeper. systemd starts the next agent by itself, and the guard after any other code.
    return app.restart_failed && app.carrier.kind() == Carrier::Kind::keeper ? kExitInternal : kExitDone;
}

}  // namespace callgate
