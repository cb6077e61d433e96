#include <unistd.h>

#include <future>

#include "app_parts.h"
#include "base/capabilities.h"
#include "kernel/confinement.h"
#include "lifecycle/pins_json.h"
#include "lifecycle/session_json.h"
#include "policy/counter_listing.h"

namespace callgate {
namespace {

using nlohmann::json;

json status_json(App& app) {
    json status = app.sessions->figures_json();
    FrameCounts counts = app.sessions->counts();
    counts += app.http->counts();
    status["frames"] = counts_json(counts);
    status["sessions"]["enforced"] = status["sessions"]["enforced"].get<size_t>() + app.http->sessions();
    status["sessions"]["total"] = status["sessions"]["total"].get<uint64_t>() + app.http->sessions_opened();
    status["http"] = app.http->figures_json();
    status["listeners"] = app.http->listeners_json();
    Watcher::Figures figures = app.watcher->figures();
    auto kernel = [&](cg_counter which) { return figures.kernel[which]; };
    status["version"] = CALLGATE_VERSION;
    status["pid"] = getpid();
    status["started"] = app.started_ns / 1'000'000'000;
    status["config"] = app.options.config_directory;
    status["scope"] = {
        {"trees", app.config.scope.trees}, {"cgroups", app.config.scope.cgroups}, {"users", app.config.scope.users}};
    status["mechanism"] = {
        {"detect", figures.on_events ? "perf events sys_exit, sched_process_exec" : "tp_btf sys_exit, sched_process_exec"},
        {"relay", app.ring->features()},
        {"listeners", "tp_btf inet_sock_set_state, sk_lookup"}};
    const ConfinedThreads threads = confined_threads();
    status["threads"] = {{"confined", threads.confined}, {"free", threads.free}};
    status["capabilities"] = held_capabilities();
    uint64_t seen = 0, sent = 0;
    for (cg_counter each : {CG_COUNT_EXEC_SEEN, CG_COUNT_READ_SEEN, CG_COUNT_EXPIRED_SEEN, CG_COUNT_UNSEEN_SEEN,
                            CG_COUNT_EXIT_SEEN, CG_COUNT_LISTEN_SEEN, CG_COUNT_GONE_SEEN})
        seen += kernel(each);
    for (cg_counter each : {CG_COUNT_EXEC_SENT, CG_COUNT_READ_SENT, CG_COUNT_EXPIRED_SENT, CG_COUNT_UNSEEN_SENT,
                            CG_COUNT_EXIT_SENT, CG_COUNT_LISTEN_SENT, CG_COUNT_GONE_SENT})
        sent += kernel(each);
    status["kernel"] = {{"candidates", kernel(CG_COUNT_EXEC_SEEN)},
                        {"holds", kernel(CG_COUNT_READ_SENT)},
                        {"hold_expired", figures.expired},
                        {"listens", kernel(CG_COUNT_LISTEN_SEEN)},
                        {"listen_expired", kernel(CG_COUNT_LISTEN_EXPIRED)},
                        {"exit_expired", figures.exits_expired},
                        {"events_seen", seen},
                        {"events_sent", sent},
                        {"events_lost", kernel(CG_COUNT_RING_FULL)},
                        {"programs_left_out", figures.left_out},
                        {"channels_full", kernel(CG_COUNT_CHANNELS_FULL)},
                        {"listeners_full", kernel(CG_COUNT_LISTENERS_FULL)},
                        {"holds_full", kernel(CG_COUNT_HOLDS_FULL)},
                        {"scope_full", kernel(CG_COUNT_SCOPE_FULL)}};
    status["takeover"] = {
        {"count", figures.taken},           {"failed", figures.failed},          {"released", figures.released},
        {"late_reads", figures.late_reads}, {"p50_us", figures.takeover_p50_us}, {"p99_us", figures.takeover_p99_us}};
    status["exits"] = {
        {"held", figures.exits_held}, {"unheld", figures.exits_unheld}, {"overdue", app.sessions->exits().overdue()}};
    status["audit"] = {{"file", app.config.audit_file}, {"written", app.audit->written()}, {"lost", app.audit->lost()}};
    status["counters"] = app.counters->figures_json();
    status["approvals"] = app.approvals->figures_json();
    status["counters"]["live"] = app.sessions->counters().size();
    status["counters"]["waiting"] = app.sessions->counters().waiting().size();
    status["policies"] = json::array();
    for (const auto& policy : app.policies->policies())
        status["policies"].push_back(
            {{"name", policy->name()}, {"revision", policy->revision()}, {"mode", mode_name(policy->mode())}});
    const PinTable& pins = app.sessions->pins();
    status["pins"] = {{"count", pins.pins().size()}, {"changed", pins.changed()}, {"bytes", pins.bytes()}};
    json names = json::array();
    for (const Grant& grant : app.grants->table->grants()) names.push_back(grant.name);
    status["grants"] = {
        {"revision", app.grants->table->revision()}, {"names", names}, {"denies_others", app.grants->table->denies_others()}};
    status["problems"] = json::array();
    for (const std::string& problem : problems_of(app)) status["problems"].push_back(problem);
    return status;
}

json sessions_json(App& app) {
    json list = app.sessions->sessions_json();
    for (json& each : app.http->sessions_json()) list.push_back(std::move(each));
    return list;
}

// Waits for what the loop or another thread answers, for as long as the loop runs.
json wait_for(const App& app, std::future<json>& future) {
    for (int slice = 0; slice < 1000; ++slice) {
        if (future.wait_for(std::chrono::milliseconds(5)) == std::future_status::ready) return future.get();
        if (app.loop_has_ended) return {{"error", "the agent is stopping"}};
    }
    return {{"error", "the agent is busy"}};
}

// Control requests come on their own thread; sessions belong to the loop's.
json on_loop(App& app, std::function<json()> ask) {
    auto answer = std::make_shared<std::promise<json>>();
    auto future = answer->get_future();
    app.ring->post([&app, answer, ask = std::move(ask)] {
        const bool can_answer = app.ready && app.watcher;
        answer->set_value(can_answer ? ask() : json{{"error", app.ready ? "the agent is stopping" : "the agent is starting"}});
    });
    return wait_for(app, future);
}

// The answer comes before the agent goes: it is on its way when the loop does the rest.
json restart_json(App& app) {
    if (app.carrier.kind() == Carrier::Kind::systemd)
        return {{"refused", "systemd runs this agent: use \"systemctl restart callgate\""}};
    if (app.carrier.kind() == Carrier::Kind::none)
        return {{"refused", "nobody would start the agent again: run it with \"callgate keep\", or as a service of systemd"}};
    if (app.ending->has_begun()) return {{"error", "the agent is stopping"}};
    if (Status can = next_agent_can_start(app); !can)
        return {{"refused", "the next agent could not start: " + can.error().text()}};
    if (Status can = policies_can_go_on(app); !can)
        return {{"refused", "the next agent would not have the last good version that is in force: " + can.error().text()}};
    const size_t sessions = app.sessions->size();
    app.ending->begin(&Ending::restart);
    return {{"pid", getpid()}, {"sessions", sessions}};
}

// What SIGHUP does. Answers when what stands in the files now is in force.
json reload_and_wait(App& app) {
    app.audit->reopen();
    auto answer = std::make_shared<std::promise<json>>();
    auto future = answer->get_future();
    app.policy_watch->reload([&app, answer] {
        if (!app.watcher) return answer->set_value({{"error", "the agent is stopping"}});
        const json status = status_json(app);
        answer->set_value({{"policies", status["policies"]}, {"grants", status["grants"]}, {"problems", status["problems"]}});
    });
    return wait_for(app, future);
}

json reset_json(App& app, const json& request) {
    const json names = request.value("names", json::array());
    std::vector<std::string> wanted;
    for (const json& each : names) {
        if (each.is_string()) wanted.push_back(each.get<std::string>());
    }
    const json all = request.value("all", json(false));
    const size_t found = reset_counters(app.sessions->counters(), wanted, all == true);
    app.audit->event("counters_reset", nullptr, {{"count", std::to_string(found)}, {"all", all == true ? "true" : "false"}});
    return {{"reset", found}};
}

// `verb`: "pins_accept" or "pins_reset".
json change_pins(App& app, const std::string& verb, const json& request) {
    std::vector<PinKey> done;
    const bool accepts = verb == "pins_accept";
    const json answer =
        accepts ? accept_pins(app.sessions->pins(), request, done) : reset_pins(app.sessions->pins(), request, done);
    for (const PinKey& key : done) {
        app.audit->event(
            accepts ? "pin_accepted" : "pin_reset", nullptr,
            {{"policy", json_text(key.policy)}, {"pin_server", json_text(key.server)}, {"tool", json_text(key.tool)}});
    }
    return answer;
}

}  // namespace

Status start_control(App& app) {
    auto handler = [&app](const json& request) -> json {
        std::string verb = request.value("verb", "");
        if (verb == "restart") return on_loop(app, [&app] { return restart_json(app); });
        if (verb == "reload") return app.ready ? reload_and_wait(app) : json{{"error", "the agent is starting"}};
        if (verb == "counters")
            return on_loop(app, [&app] { return counters_json(app.sessions->counters().rows(realtime_ns())); });
        if (verb == "counters_reset") return on_loop(app, [&app, request] { return reset_json(app, request); });
        if (verb == "approvals") return on_loop(app, [&app] { return app.approvals->list_json(); });
        if (verb == "approval") return on_loop(app, [&app, request] { return app.approvals->show_json(request); });
        if (verb == "approval_decide") return on_loop(app, [&app, request] { return app.approvals->decide_json(request); });
        if (verb == "pins") return on_loop(app, [&app, request] { return pins_json(app.sessions->pins(), request); });
        if (verb == "pins_accept" || verb == "pins_reset")
            return on_loop(app, [&app, verb, request] { return change_pins(app, verb, request); });
        if (verb == "sessions") return on_loop(app, [&app] { return sessions_json(app); });
        return on_loop(app, [&app] { return status_json(app); });
    };
    app.control = TRY(ControlServer::start(app.config.control_socket,
                                           {"status", "sessions", "counters", "counters_reset", "approvals", "approval",
                                            "approval_decide", "pins", "pins_accept", "pins_reset", "reload", "restart"},
                                           handler));
    return {};
}

}  // namespace callgate
