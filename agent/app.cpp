#include "app.h"

#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>

#include <atomic>
#include <future>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/counted.h"
#include "control/server.h"
#include "lifecycle/kept_approvals.h"
#include "lifecycle/kept_counters.h"
#include "lifecycle/planned_restart.h"
#include "lifecycle/policy_watch.h"
#include "policy/counter_listing.h"
#include "policy/policy_name.h"
#include "lifecycle/http_table.h"
#include "lifecycle/pins_json.h"
#include "lifecycle/session_json.h"
#include "lifecycle/session_table.h"
#include "lifecycle/state_directory.h"
#include "restart/systemd_job.h"
#include "store/database.h"

namespace callgate {
namespace {

using nlohmann::json;

constexpr int kExitInternal = 70, kExitNotPermitted = 77, kExitConfig = 78;

class Ending;

// What the daemon consists of, in the order in which it is built; it goes in the reverse order.
struct App {
    RunOptions options;
    Config config;
    std::shared_ptr<const PolicyStore> policies;
    std::vector<PolicyProblem> problems;  // of the state directory
    std::shared_ptr<const GrantStore> grants;
    std::string reload_error;             // the policies could not be read again
    std::unique_ptr<Ring> ring;
    std::unique_ptr<AuditLog> audit;
    std::unique_ptr<Database> database;      // state.db
    std::unique_ptr<KeptCounters> counters;  // outlives the table, which sessions have
    std::unique_ptr<SessionTable> sessions;
    std::unique_ptr<KeptApprovals> approvals;
    std::unique_ptr<HttpTable> http;
    std::unique_ptr<Watcher> watcher;  // null until the kernel's side is loaded, while resumed sessions go on already
    std::thread starting;
    std::optional<Error> start_error;
    std::atomic<bool> ready{false};
    bool kept_for_next = false;
    std::unique_ptr<PolicyWatch> policy_watch;
    std::unique_ptr<ControlServer> control;
    Fd signals;
    Carrier carrier = Carrier::from_environment();
    std::unique_ptr<Vault> vault;  // of the live sessions; null where nobody keeps it
    std::unique_ptr<PlannedRestart> restart;
    std::unique_ptr<Ending> ending;
    std::function<void()> when_ready;  // a stop that was asked for before
    int64_t started_ns = realtime_ns();
    std::atomic<bool> loop_has_ended{false};
};

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

// What was asked for on the command line, or stands in callgate.json, and cannot be.
int check_paths_and_scope(const Config& config) {
    for (const std::string* path : {&config.audit_file, &config.control_socket, &config.state_directory})
        if (!path->starts_with('/'))
            return fail(kExitConfig, Error::invalid(*path, "give the whole path, beginning with \"/\""));
    for (pid_t pid : config.scope.trees)
        if (kill(pid, 0) && errno == ESRCH)
            return fail(kExitConfig, Error::invalid("scope: process " + std::to_string(pid), "does not exist"));
    return 0;
}

int configure(App& app) {
    auto config = load_config(app.options.config_directory, app.problems);
    if (!config) {
        spdlog::error("{}; --config takes the directory that holds callgate.json (which may be just {{}})", config.error().text());
        return kExitConfig;
    }
    if (!app.problems.empty()) {
        for (const PolicyProblem& problem : app.problems) spdlog::error("{}", problem.text());
        return kExitConfig;
    }
    app.config = std::move(*config);
    const RunOptions& options = app.options;
    if (!options.scope_trees.empty()) app.config.scope.trees.assign(options.scope_trees.begin(), options.scope_trees.end());
    if (!options.scope_cgroups.empty()) app.config.scope.cgroups = options.scope_cgroups;
    if (!options.audit_file.empty()) app.config.audit_file = options.audit_file;
    if (!options.state_directory.empty()) app.config.state_directory = options.state_directory;
    if (!options.control_socket.empty()) app.config.control_socket = options.control_socket;

    if (int code = check_paths_and_scope(app.config)) return code;
    auto policies = PolicyStore::load(options.config_directory + "/policies.d");
    if (!policies) {
        spdlog::error("{}; policies are the *.json files of that directory", policies.error().text());
        return kExitConfig;
    }
    for (const PolicyProblem& problem : policies->problems()) spdlog::error("policy: {}", problem.text());
    app.policies = std::make_shared<const PolicyStore>(std::move(*policies));
    app.grants = std::make_shared<const GrantStore>(GrantStore::load(options.config_directory));
    for (const PolicyProblem& problem : app.grants->problems) spdlog::error("grants left out: {}", problem.text());
    return 0;
}

// A session needs four descriptors, and where it is kept for the next agent eleven.
void raise_descriptor_limit() {
    rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

std::vector<std::string> problems_of(const App& app) {
    std::vector<std::string> texts;
    for (const PolicyProblem& problem : app.problems) texts.push_back(problem.text());
    for (const PolicyProblem& problem : app.policies->problems()) texts.push_back(problem.text());
    std::set<std::string> ties;
    if (app.sessions) app.sessions->note_ties(ties);
    if (app.http) app.http->note_ties(ties);
    texts.insert(texts.end(), ties.begin(), ties.end());
    if (app.approvals && !app.approvals->problem().empty()) texts.push_back(app.approvals->problem());
    for (const PolicyProblem& problem : app.grants->problems) texts.push_back(problem.text());
    if (app.sessions && !app.sessions->pins().problem().empty()) texts.push_back("pins are not kept: " + app.sessions->pins().problem());
    if (app.sessions && !app.sessions->pins().no_room().empty()) {
        texts.push_back("pins: " + app.sessions->pins().no_room() +
                        "; what could not be pinned is denied. \"callgate pins reset\" makes room");
    }
    if (!app.reload_error.empty()) texts.push_back(app.reload_error + "; the policies of before stay in force");
    return texts;
}

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
    status["scope"] = {{"trees", app.config.scope.trees}, {"cgroups", app.config.scope.cgroups}, {"users", app.config.scope.users}};
    status["mechanism"] = {{"detect", "tp_btf sys_exit, sched_process_exec"}, {"relay", "io_uring: " + app.ring->features()},
                           {"listeners", "tp_btf inet_sock_set_state, sk_lookup"}};
    uint64_t seen = 0, sent = 0;
    for (cg_counter each : {CG_COUNT_EXEC_SEEN, CG_COUNT_READ_SEEN, CG_COUNT_EXPIRED_SEEN, CG_COUNT_EXIT_SEEN, CG_COUNT_LISTEN_SEEN, CG_COUNT_GONE_SEEN})
        seen += kernel(each);
    for (cg_counter each : {CG_COUNT_EXEC_SENT, CG_COUNT_READ_SENT, CG_COUNT_EXPIRED_SENT, CG_COUNT_EXIT_SENT, CG_COUNT_LISTEN_SENT, CG_COUNT_GONE_SENT})
        sent += kernel(each);
    status["kernel"] = {{"candidates", kernel(CG_COUNT_EXEC_SEEN)},     {"holds", kernel(CG_COUNT_READ_SENT)},
                        {"hold_expired", figures.expired}, {"listens", kernel(CG_COUNT_LISTEN_SEEN)},
                        {"listen_expired", kernel(CG_COUNT_LISTEN_EXPIRED)}, {"events_seen", seen},
                        {"events_sent", sent},
                        {"events_lost", kernel(CG_COUNT_RING_FULL)},  {"channels_full", kernel(CG_COUNT_CHANNELS_FULL)},
                        {"listeners_full", kernel(CG_COUNT_LISTENERS_FULL)},
                        {"holds_full", kernel(CG_COUNT_HOLDS_FULL)},  {"scope_full", kernel(CG_COUNT_SCOPE_FULL)}};
    status["takeover"] = {{"count", figures.taken},   {"failed", figures.failed},         {"released", figures.released},
                          {"late_reads", figures.late_reads}, {"p50_us", figures.takeover_p50_us}, {"p99_us", figures.takeover_p99_us}};
    status["exits"] = {{"held", figures.exits_held}, {"unheld", figures.exits_unheld}, {"overdue", app.sessions->exits().overdue()}};
    status["audit"] = {{"file", app.config.audit_file}, {"written", app.audit->written()}, {"lost", app.audit->lost()}};
    status["counters"] = app.counters->figures_json();
    status["approvals"] = app.approvals->figures_json();
    status["counters"]["live"] = app.sessions->counters().size();
    status["counters"]["waiting"] = app.sessions->counters().waiting().size();
    status["policies"] = json::array();
    for (const auto& policy : app.policies->policies())
        status["policies"].push_back({{"name", policy->name()}, {"revision", policy->revision()}, {"mode", mode_name(policy->mode())}});
    const PinTable& pins = app.sessions->pins();
    status["pins"] = {{"count", pins.pins().size()}, {"changed", pins.changed()}, {"bytes", pins.bytes()}};
    json names = json::array();
    for (const Grant& grant : app.grants->table->grants()) names.push_back(grant.name);
    status["grants"] = {{"revision", app.grants->table->revision()}, {"names", names}, {"denies_others", app.grants->table->denies_others()}};
    status["problems"] = json::array();
    for (const std::string& problem : problems_of(app)) status["problems"].push_back(problem);
    return status;
}

void record_problems(App& app) {
    for (const std::string& problem : problems_of(app))
        app.audit->event("policy_problem", nullptr, {{"problem", json(problem).dump(-1, ' ', true, json::error_handler_t::replace)}});
}

// On the loop's thread, between two messages: everything that comes after is judged by what was read now.
void put_in_force(App& app, const PolicyWatch::Loaded& loaded) {
    const bool are_new_grants = loaded.grants != app.grants;
    const bool is_news = loaded.policies != app.policies || are_new_grants || loaded.error != app.reload_error;
    app.reload_error = loaded.error;
    if (are_new_grants) {
        app.grants = loaded.grants;
        app.sessions->use_grants(app.grants->table);
        app.audit->event("grants_reload", nullptr, {{"revision", json_text(app.grants->table->revision())}});
        spdlog::info("grants read again: {} in force", app.grants->table->grants().size());
    }
    if (loaded.policies && loaded.policies != app.policies) {
        app.policies = loaded.policies;
        if (app.watcher) app.watcher->use_policies(app.policies);
        app.sessions->use_policies(*app.policies);
        app.http->use_policies(*app.policies);
        app.approvals->use_policies(*app.policies);
        json names = json::object();
        for (const auto& policy : app.policies->policies()) names[policy->name()] = policy->revision();
        app.audit->event("policy_reload", nullptr, {{"policies", names.dump(-1, ' ', true, json::error_handler_t::replace)}});
        spdlog::info("policies read again: {} in force, {}", app.policies->policies().size(),
                     counted(app.policies->problems().size(), "problem"));
    }
    if (is_news) {
        for (const std::string& problem : problems_of(app)) spdlog::error("policy: {}", problem);
        record_problems(app);
    }
    for (const auto& done : loaded.asked) done();
}

Status start_policy_watch(App& app) {
    app.policy_watch = TRY(PolicyWatch::start(app.options.config_directory, app.policies, app.grants, [&app](PolicyWatch::Loaded loaded) {
        auto shared = std::make_shared<PolicyWatch::Loaded>(std::move(loaded));
        app.ring->post([&app, shared] { put_in_force(app, *shared); });
    }));
    return {};
}

json sessions_json(App& app) {
    json list = app.sessions->sessions_json();
    for (json& each : app.http->sessions_json()) list.push_back(std::move(each));
    return list;
}

// Waits for what the loop or another thread answers, for as long as the loop runs.
json wait_for(const App& app, std::future<json>& future) {
    for (int slice = 0; slice < 100; ++slice) {
        if (future.wait_for(std::chrono::milliseconds(50)) == std::future_status::ready) return future.get();
        if (app.loop_has_ended) return {{"error", "the agent is stopping"}};
    }
    return {{"error", "the agent is busy"}};
}

// Control requests come on their own thread; sessions belong to the loop's.
json on_loop(App& app, std::function<json()> ask) {
    auto answer = std::make_shared<std::promise<json>>();
    auto future = answer->get_future();
    app.ring->post([&app, answer, ask = std::move(ask)] {
        answer->set_value(app.ready ? ask() : json{{"error", "the agent is starting"}});
    });
    return wait_for(app, future);
}

// What a policy-less server is governed by.
std::shared_ptr<const Policy> policy_of_unnamed(const App& app) {
    const Mode mode = app.config.deny_unnamed ? Mode::enforce : Mode::observe;
    return Policy::deny_everything("(no policy)", "(no policy)", "No policy names this server any more.", mode);
}

// The next agent reads them too: one that cannot start would end every session.
Status next_agent_can_start(const App& app) {
    std::vector<PolicyProblem> found;
    TRY_VOID(load_config(app.options.config_directory, found));
    if (!found.empty()) return Error::invalid("configuration", found.front().text());
    TRY_VOID(PolicyStore::load(app.options.config_directory + "/policies.d"));
    return {};
}

// A policy that is in force, and whose file is bad now: the next agent would not have the last good version.
Status policies_can_go_on(const App& app) {
    const PolicyStore found = TRY(PolicyStore::load(app.options.config_directory + "/policies.d"));
    for (const PolicyProblem& problem : found.problems())
        for (const auto& policy : app.policies->policies())
            if (policy->name() == policy_name_of(problem.file)) return Error::invalid("policy", problem.text());
    return {};
}

// Ends the agent in one of two ways, once.
class Ending {
  public:
    explicit Ending(App& app) : app_(app) {}

    // Every session goes back to its own channels.
    void hand_back() {
        sd_notify(0, "STOPPING=1");
        auto patience = std::chrono::seconds(app_.config.stop_timeout_s);
        app_.watcher->stop_taking([this, patience] {
            app_.ring->post([this, patience] { app_.http->drain(patience, [this] { one_is_done(); }); });
        });
        app_.sessions->hand_back_all(patience, [this] { one_is_done(); });
    }

    // Every session goes on with the next agent; where it cannot be kept for that one, it is handed back.
    void restart() {
        app_.restart = std::make_unique<PlannedRestart>(*app_.ring, *app_.watcher, *app_.sessions, *app_.http, app_.carrier);
        app_.restart->begin(*app_.policies, policy_of_unnamed(app_), [this](Status kept) {
            if (kept) {
                app_.kept_for_next = true;
                return app_.ring->stop();
            }
            spdlog::error("sessions cannot be kept for the next agent and are handed back: {}", kept.error().text());
            app_.sessions->hand_back_all(std::chrono::seconds(app_.config.stop_timeout_s), [this] { app_.ring->stop(); });
        });
    }

    bool has_begun() const { return begun_; }
    void begin(void (Ending::*how)()) {
        if (std::exchange(begun_, true)) return;
        if (app_.ready) return (this->*how)();
        app_.when_ready = [this, how] { (this->*how)(); };
    }

  private:
    void one_is_done() {
        if (++done_ == 2) app_.ring->stop();
    }
    App& app_;
    bool begun_ = false;
    int done_ = 0;  // of the two tables
};

// The answer comes before the agent goes: it is on its way when the loop does the rest.
json restart_json(App& app) {
    if (app.carrier.kind() == Carrier::Kind::systemd) return {{"refused", "systemd runs this agent: use \"systemctl restart callgate\""}};
    if (app.carrier.kind() == Carrier::Kind::none)
        return {{"refused", "nobody would start the agent again: run it with \"callgate keep\", or as a service of systemd"}};
    if (app.ending->has_begun()) return {{"error", "the agent is stopping"}};
    if (Status can = next_agent_can_start(app); !can) return {{"refused", "the next agent could not start: " + can.error().text()}};
    if (Status can = policies_can_go_on(app); !can)
        return {{"refused", "the next agent would not have the last good version that is in force: " + can.error().text()}};
    const size_t sessions = app.sessions->size();
    app.ending->begin(&Ending::restart);
    return {{"pid", getpid()}, {"sessions", sessions}};
}

// Answers when what stands in the files now is in force.
json reload_and_wait(App& app) {
    auto answer = std::make_shared<std::promise<json>>();
    auto future = answer->get_future();
    app.policy_watch->reload([&app, answer] {
        json status = status_json(app);
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
    const json answer = accepts ? accept_pins(app.sessions->pins(), request, done) : reset_pins(app.sessions->pins(), request, done);
    for (const PinKey& key : done) {
        app.audit->event(accepts ? "pin_accepted" : "pin_reset", nullptr,
                         {{"policy", json_text(key.policy)}, {"pin_server", json_text(key.server)}, {"tool", json_text(key.tool)}});
    }
    return answer;
}

Status start_control(App& app) {
    auto handler = [&app](const json& request) -> json {
        std::string verb = request.value("verb", "");
        if (verb == "restart") return on_loop(app, [&app] { return restart_json(app); });
        if (verb == "reload") return app.ready ? reload_and_wait(app) : json{{"error", "the agent is starting"}};
        if (verb == "counters") return on_loop(app, [&app] { return counters_json(app.sessions->counters().rows(realtime_ns())); });
        if (verb == "counters_reset") return on_loop(app, [&app, request] { return reset_json(app, request); });
        if (verb == "approvals") return on_loop(app, [&app] { return app.approvals->list_json(); });
        if (verb == "approval") return on_loop(app, [&app, request] { return app.approvals->show_json(request); });
        if (verb == "approval_decide") return on_loop(app, [&app, request] { return app.approvals->decide_json(request); });
        if (verb == "pins") return on_loop(app, [&app, request] { return pins_json(app.sessions->pins(), request); });
        if (verb == "pins_accept" || verb == "pins_reset") return on_loop(app, [&app, verb, request] { return change_pins(app, verb, request); });
        if (verb == "sessions") return on_loop(app, [&app] { return sessions_json(app); });
        return on_loop(app, [&app] { return status_json(app); });
    };
    app.control = TRY(ControlServer::start(app.config.control_socket,
                                           {"status", "sessions", "counters", "counters_reset", "approvals", "approval", "approval_decide", "pins",
                                            "pins_accept", "pins_reset", "reload", "restart"},
                                           handler));
    return {};
}

// Everything is passed on to the loop, in order.
ListenWatch::Events listener_events(App& app) {
    Ring& ring = *app.ring;
    HttpTable& http = *app.http;
    ListenWatch::Events events;
    events.space.opened = [&](std::shared_ptr<NetworkNamespace> space) {
        ring.post([&http, space = std::move(space)] { http.open_space(space); });
    };
    events.space.closed = [&](uint32_t netns) { ring.post([&http, netns] { http.close_space(netns); }); };
    events.undecided = [&](Listener listener) { ring.post([&http, listener] { http.add_undecided(listener); }); };
    events.governed = [&](GovernedListener governed) {
        ring.post([&http, governed = std::move(governed)] { http.add(governed); });
    };
    events.let_go = [&](uint64_t cookie) { ring.post([&http, cookie] { http.let_go(cookie); }); };
    events.gone = [&](uint64_t cookie) { ring.post([&http, cookie] { http.remove(cookie); }); };
    events.blind = [&app, &ring](BlindListener found) {
        ring.post([&app, found = std::move(found)] {
            const GovernedListener& governed = found.governed;
            app.sessions->add_blind({found.id, governed.server, {}, governed.policy, found.reason, found.killed,
                                     text_of(governed.listener.address)});
        });
    };
    return events;
}

Watcher::Events watcher_events(App& app) {
    Ring& ring = *app.ring;
    SessionTable& sessions = *app.sessions;
    Watcher::Events events;
    events.taken = [&](TakenServer taken) {
        auto shared = std::make_shared<TakenServer>(std::move(taken));
        ring.post([&sessions, shared] { sessions.add(std::move(*shared)); });
    };
    events.late_bytes = [&](std::string id, std::string bytes) {
        ring.post([&sessions, id = std::move(id), bytes = std::move(bytes)] { sessions.late_bytes(id, bytes); });
    };
    events.blind = [&](BlindServer blind) {
        auto shared = std::make_shared<BlindServer>(std::move(blind));
        ring.post([&sessions, shared] { sessions.add_blind(std::move(*shared)); });
    };
    events.joined = [&](std::string id, ServerIdentity process) {
        ring.post([&sessions, id = std::move(id), process = std::move(process)] { sessions.joined(id, process); });
    };
    events.exiting = [&](std::string id, pid_t pid, int64_t since_ns) {
        ring.post([&sessions, id = std::move(id), pid, since_ns]() mutable { sessions.exiting(std::move(id), pid, since_ns); });
    };
    events.superseded = [&](std::string id) { ring.post([&sessions, id = std::move(id)] { sessions.supersede(id); }); };
    events.listeners = listener_events(app);
    events.earlier_connection = [&app, &ring](EarlierConnection earlier) {
        auto shared = std::make_shared<EarlierConnection>(std::move(earlier));
        ring.post([&app, shared] { app.http->adopt(std::move(*shared)); });
    };
    events.unix_servers.governed = [&app, &ring](std::shared_ptr<const UnixListener> listener) {
        ring.post([&app, listener = std::move(listener)] { app.http->add_unix(listener); });
    };
    events.unix_servers.gone = [&app, &ring](std::shared_ptr<const UnixListener> listener) {
        ring.post([&app, listener = std::move(listener)] { app.http->remove_unix(*listener); });
    };
    events.unix_servers.cut = [&app, &ring](std::shared_ptr<const UnixListener> listener) {
        ring.post([&app, listener = std::move(listener)] { app.http->note_unix_cut(*listener); });
    };
    events.unix_servers.connection = [&app, &ring](UnixConnection connection) {
        auto shared = std::make_shared<UnixConnection>(std::move(connection));
        ring.post([&app, shared] { app.http->adopt_unix(std::move(*shared)); });
    };
    return events;
}

// By the loop that relays: where that hangs, nobody says so, and the agent is started again.
void feed_watchdog(App& app, std::chrono::microseconds interval) {
    sd_notify(0, "WATCHDOG=1");
    app.ring->after(interval, [&app, interval] { feed_watchdog(app, interval); });
}

void become_ready(App& app) {
    app.ready = true;
    printf("callgate ready pid=%d policies=%zu audit=%s control=%s\n", getpid(), app.policies->policies().size(),
           app.config.audit_file.c_str(), app.config.control_socket.c_str());
    fflush(stdout);
    sd_notify(0, "READY=1");
    if (app.when_ready) app.when_ready();
}

// Loading the kernel's side takes some tenths of a second, in which resumed sessions go on.
Status load_and_scan(App& app, Watcher::Options options) {
    auto watcher = std::make_shared<std::unique_ptr<Watcher>>(TRY(Watcher::create(std::move(options), watcher_events(app))));
    auto resumed = std::make_shared<std::promise<std::vector<ResumedServer>>>();
    app.ring->post([&app, resumed, watcher] {
        app.watcher = std::move(*watcher);
        app.watcher->use_policies(app.policies);
        std::vector<ResumedServer> list = app.sessions->resumed();
        app.sessions->use_watcher(app.watcher.get());
        app.http->use_watcher(app.watcher.get());
        resumed->set_value(std::move(list));
    });
    std::vector<ResumedServer> list = resumed->get_future().get();  // from here on there is a watcher
    app.watcher->resume(std::move(list));
    app.watcher->run();
    app.ring->post([&app] { become_ready(app); });
    return {};
}

void start_watcher(App& app) {
    Watcher::Options options{app.config.scope, app.policies, app.config.deny_unnamed};
    app.starting = std::thread([&app, options = std::move(options)]() mutable {
        Status loaded = load_and_scan(app, std::move(options));
        if (loaded) return;
        app.ring->post([&app, error = loaded.error()] {
            app.start_error = error;
            app.sessions->close_all("the agent could not start", [&app] { app.ring->stop(); });
        });
    });
}

// SIGTERM and SIGINT: the end, or a restart if systemd says so. SIGHUP: the audit file was rotated, or the policies are to be
// read again.
class SignalReader : public Completion {
  public:
    explicit SignalReader(App& app) : app_(app) {}
    void arm() { app_.ring->poll_readable(app_.signals.get(), this); }
    void complete(int, std::string_view) override {
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

  private:
    bool restart_is_wanted() const {
        if (app_.carrier.kind() != Carrier::Kind::systemd) return false;
        auto job = systemd_job_of_this_process();
        if (!job) spdlog::warn("cannot tell a restart from a stop, sessions are handed back: {}", job.error().text());
        if (!job || !job->is_restart || !job->keeps_descriptors) return false;
        const Status can = next_agent_can_start(app_);
        if (!can) spdlog::error("the next agent could not start, sessions are handed back: {}", can.error().text());
        return static_cast<bool>(can);
    }
    App& app_;
};

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

Status start(App& app) {
    raise_descriptor_limit();
    TRY_VOID(check_state_directory(app.config.state_directory));
    TRY_VOID(block_signals(app));
    app.ring = TRY(Ring::create());
    app.audit = TRY(AuditLog::open(app.config.audit_file, app.config.state_directory + "/audit.secret",
                                  app.config.audit_arguments));
    app.sessions = std::make_unique<SessionTable>(*app.ring, *app.audit, app.config);
    app.sessions->use_grants(app.grants->table);
    app.http = std::make_unique<HttpTable>(*app.ring, *app.audit, app.sessions->counters(), app.sessions->grants(), app.sessions->pins(), app.config);
    app.approvals = std::make_unique<KeptApprovals>(*app.ring, *app.audit, app.sessions->counters().waiting(), app.config);
    app.sessions->use_approvals(app.approvals->desk());
    app.http->use_approvals(app.approvals->desk());
    app.ending = std::make_unique<Ending>(app);
    TRY_VOID(start_policy_watch(app));
    TRY_VOID(start_control(app));
    // After that: of two agents with the same configuration, the second is told of the socket. The loop does not run yet.
    app.database = TRY(Database::open(database_path(app.config.state_directory)));
    TRY_VOID(app.approvals->open(*app.database));
    app.approvals->use_policies(*app.policies);
    TRY_VOID(app.sessions->pins().keep_in(*app.database));
    std::string remark;
    app.counters = TRY(KeptCounters::open(app.config.state_directory, app.sessions->counters(), remark));
    if (!remark.empty()) app.problems.push_back({app.config.state_directory, 0, 0, "", remark});
    return {};
}

}  // namespace

int run_agent(const RunOptions& options) {
    auto logger = spdlog::stderr_color_mt("callgate");
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
    spdlog::set_default_logger(logger);
    spdlog::set_level(options.verbose ? spdlog::level::debug : spdlog::level::info);

    if (geteuid() != 0) {
        spdlog::error("run as root: loading BPF programs and taking over other users' servers needs it");
        return kExitNotPermitted;
    }
    App app;
    app.options = options;
    if (int code = configure(app)) return code;
    if (Status started = start(app); !started) return fail(exit_code_of(started.error()), started.error());

    app.audit->event("agent_start", nullptr, {{"version", "\"" CALLGATE_VERSION "\""}, {"pid", std::to_string(getpid())}});
    std::vector<std::string> lost;
    resume_sessions(app.carrier, app.vault, *app.sessions, *app.policies, policy_of_unnamed(app), lost);
    for (const std::string& problem : lost) spdlog::error("{}", problem);
    record_problems(app);
    SignalReader signals(app);
    signals.arm();
    uint64_t watchdog_us = 0;
    if (sd_watchdog_enabled(0, &watchdog_us) > 0) feed_watchdog(app, std::chrono::microseconds(watchdog_us / 4));
    start_watcher(app);
    app.ring->run();

    app.loop_has_ended = true;
    app.control.reset();
    app.starting.join();
    app.policy_watch.reset();
    if (app.start_error) return fail(exit_code_of(*app.start_error), *app.start_error);
    if (app.kept_for_next) {
        // The next agent waits for the end of this process, and the kernel takes down faster what it can do by itself.
        app.audit->event("agent_stop", nullptr, {{"restart", "true"}});
        app.audit.reset();
        spdlog::info("stopped; the sessions are kept for the next agent");
        std::_Exit(0);
    }
    app.watcher->stop();
    app.http.reset();  // its sessions end; it uses the watcher's maps
    app.audit->event("agent_stop", nullptr, {});
    app.watcher.reset();
    app.approvals.reset();  // no session asks it any more
    app.sessions.reset();
    app.audit.reset();
    spdlog::info("stopped");
    return 0;
}

}  // namespace callgate
