#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "app_parts.h"
#include "lifecycle/startable.h"
#include "policy/policy_name.h"
#include "restart/systemd_job.h"

namespace callgate {

Status next_agent_can_start(const App& app) {
    std::vector<PolicyProblem> found;
    Config config = TRY(load_config(app.options.config_directory, found));
    if (!found.empty()) return Error::invalid("configuration", found.front().text());
    apply_options(app.options, config);
    TRY_VOID(check_startable(config));
    TRY_VOID(PolicyStore::load(app.options.config_directory + "/policies.d"));
    return {};
}

Status policies_can_go_on(const App& app) {
    const PolicyStore found = TRY(PolicyStore::load(app.options.config_directory + "/policies.d"));
    for (const PolicyProblem& problem : found.problems())
        for (const auto& policy : app.policies->policies())
            if (policy->name() == policy_name_of(problem.file)) return Error::invalid("policy", problem.text());
    return {};
}

void Ending::hand_back() {
    sd_notify(0, "STOPPING=1");
    // What is being taken over then comes first.
    app_.watcher->stop_taking(ListenWatch::Steered::released, [this] { app_.ring->post([this] { hand_back_what_is_there(); }); });
}

void Ending::hand_back_what_is_there() {
    const auto patience = std::chrono::seconds(app_.config.stop_timeout_s);
    app_.http->drain(patience, [this] { one_is_done(); });
    app_.sessions->hand_back_all(patience, [this] { one_is_done(); });
}

void Ending::restart() {
    app_.policy_watch->watch_no_more();
    app_.restart =
        std::make_unique<PlannedRestart>(*app_.ring, *app_.worker, app_.watcher, *app_.sessions, *app_.http, app_.carrier);
    app_.restart->begin(*app_.policies, policy_of_unnamed(app_), [this](Status kept) {
        if (kept) {
            app_.kept_for_next = true;
            return app_.ring->stop();
        }
        spdlog::error("sessions cannot be kept for the next agent and are handed back: {}", kept.error().text());
        app_.restart_failed = true;
        hand_back_what_is_there();
    });
}

void Ending::begin(void (Ending::*how)()) {
    if (std::exchange(begun_, true)) return;
    if (app_.ready) return (this->*how)();
    app_.when_ready = [this, how] { (this->*how)(); };
}

void Ending::one_is_done() {
    if (++done_ == 2) app_.ring->stop();
}

void SignalReader::complete(int, std::string_view) {
    signalfd_siginfo info;
    while (::read(app_.signals.get(), &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            app_.audit->reopen();
            app_.policy_watch->reload([] {});
        } else if (!app_.ending->has_begun()) {
            app_.ending->begin(restart_is_wanted() ? &Ending::restart : &Ending::hand_back);
        }
    }
    arm();
}

bool SignalReader::restart_is_wanted() const {
    if (app_.carrier.kind() != Carrier::Kind::systemd) return false;
    auto job = systemd_job_of_this_process();
    if (!job) spdlog::warn("cannot tell a restart from a stop, sessions are handed back: {}", job.error().text());
    if (!job || !job->is_restart || !job->keeps_descriptors) return false;
    const Status can = next_agent_can_start(app_);
    if (!can) spdlog::error("the next agent could not start, sessions are handed back: {}", can.error().text());
    return static_cast<bool>(can);
}

}  // namespace callgate
