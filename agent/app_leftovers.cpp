#include <spdlog/spdlog.h>

#include "app_parts.h"
#include "exit_codes.h"

namespace callgate {
namespace {

// How long exchanges over HTTP may take to end where no agent can go on with them.
constexpr std::chrono::seconds kDrainPatience{2};

// As much of an agent as it takes to let sessions have what is on its way, and to give them back. On a ring of
// its own (of epoll: this thread is confined), since what did not start has tasks on the agent's.
Status release(App& app, std::vector<std::string>& problems) {
    const std::unique_ptr<Ring> ring = TRY(Ring::create());
    auto opened = AuditLog::open(app.config.audit_file, app.config.state_directory + "/audit.secret", app.config.audit_arguments,
                                 app.memory.get());
    if (!opened) problems.push_back("nothing of it is in the audit log: " + opened.error().text());
    const std::unique_ptr<AuditLog> audit = opened ? std::move(*opened) : TRY(AuditLog::open_nowhere());
    const auto policies = app.policies ? app.policies : std::make_shared<const PolicyStore>();
    SessionTable sessions(*ring, *app.worker, *audit, app.config);
    sessions.use_grants(app.grants ? app.grants->table : std::make_shared<const GrantTable>());
    resume_to_release(app.carrier, *app.worker, app.vault, sessions, *audit, *policies, app.steering, problems);
    problems.push_back("no agent can go on with " + std::to_string(sessions.size()) +
                       " sessions: each is handed back or ends, as its policy says");
    ring->post([&] { sessions.release_all([&] { ring->stop(); }); });
    ring->run();
    return {};
}

// Who only wants to know when the agent is ready need not keep anything.
void offer_memory(App& app) {
    const Status kept = app.carrier.keep_memory(app.memory->fd());
    if (kept) return;
    spdlog::warn("who reads $NOTIFY_SOCKET keeps no descriptors, so sessions end if this agent is killed: {}",
                 kept.error().text());
    if (!app.carrier.has_left()) app.carrier.give_up();
}

}  // namespace

Status open_memory(App& app) {
    if (Fd left = app.carrier.take_memory()) {
        auto adopted = KeptMemory::adopt(std::move(left));
        if (adopted) app.memory = std::move(*adopted);
        if (!adopted) spdlog::error("records of the agent before are lost: {}", adopted.error().text());
        if (!adopted) app.carrier.forget_memory();
    }
    if (!app.memory) {
        app.memory = TRY(KeptMemory::create());
        if (app.carrier.kind() != Carrier::Kind::none) offer_memory(app);
    }
    app.memory->set_starts(app.memory->starts() + 1);
    return {};
}

bool is_permanent(int exit_code) { return exit_code == kExitUsage || exit_code == kExitNotPermitted || exit_code == kExitConfig; }

bool is_last_start(const App& app) { return app.memory && app.memory->starts() >= static_cast<uint32_t>(kStartsMax); }

bool gives_up(const App& app) {
    return app.carrier.kind() == Carrier::Kind::systemd && app.memory->starts() > static_cast<uint32_t>(kStartsMax);
}

void release_leftovers(App& app) {
    if (!app.carrier.has_left()) return;
    app.policy_watch.reset();
    app.http.reset();
    app.approvals.reset();
    app.sessions.reset();
    app.audit.reset();
    std::vector<std::string> problems;
    const Status released = release(app, problems);
    if (!released) problems.push_back("sessions of the agent before end: " + released.error().text());
    for (const std::string& problem : problems) spdlog::error("{}", problem);
}

void leave_resumed(App& app, int exit_code) {
    if (is_permanent(exit_code) || is_last_start(app)) {
        if (const size_t left = app.sessions->size(); left > 0)
            spdlog::error("no agent can go on with {} sessions: each is handed back or ends, as its policy says", left);
        const auto one_is_done = [&app, tables = std::make_shared<int>(2)] {
            if (--*tables == 0) app.ring->stop();
        };
        app.http->drain(kDrainPatience, one_is_done);
        return app.sessions->release_all(one_is_done);
    }
    app.kept_for_next = true;
    app.ring->stop();
}

}  // namespace callgate
