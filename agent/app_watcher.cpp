#include <malloc.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cstdio>
#include <future>

#include "app_parts.h"
#include "base/counted.h"
#include "base/fault_point.h"

namespace callgate {
namespace {

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
            app.sessions->add_blind(
                {found.id, governed.server, {}, governed.policy, found.reason, found.killed, text_of(governed.listener.address)});
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
    events.lost = [&app, &ring](uint64_t lost) {
        ring.post([&app, lost] {
            spdlog::warn("{} lost (events_lost and programs_left_out of status); what runs was looked at again",
                         counted(lost, "event"));
            app.audit->event("events_lost", nullptr, {{"lost", std::to_string(lost)}});
        });
    };
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

void become_ready(App& app) {
    app.http->steering_is_complete();
    app.ready = true;
    app.memory->set_starts(0);
    printf("callgate ready pid=%d policies=%zu audit=%s control=%s\n", getpid(), app.policies->policies().size(),
           app.config.audit_file.c_str(), app.config.control_socket.c_str());
    fflush(stdout);
    sd_notify(0, "READY=1");
    if (app.when_ready) app.when_ready();
}

// Loading the kernel's side takes some tenths of a second, in which resumed sessions go on.
Status load_and_scan(App& app, Watcher::Options options) {
    fault_point("programs to be loaded");
    auto watcher = std::make_shared<std::unique_ptr<Watcher>>(TRY(Watcher::create(std::move(options), watcher_events(app))));
    struct Resumed {
        std::vector<ResumedServer> sessions;
        std::vector<cg_channel_key> replacements;
    };
    auto resumed = std::make_shared<std::promise<Resumed>>();
    app.ring->post([&app, resumed, watcher] {
        app.watcher = std::move(*watcher);
        app.watcher->use_policies(app.policies);
        Resumed list{app.sessions->resumed(), app.http->replacements()};
        app.sessions->use_watcher(app.watcher.get());
        app.http->use_watcher(app.watcher.get());
        resumed->set_value(std::move(list));
    });
    Resumed list = resumed->get_future().get();  // from here on there is a watcher
    app.watcher->resume(std::move(list.sessions), list.replacements);
    app.watcher->run();
    malloc_trim(0);  // the kernel's types are needed for loading only, and are most of what the agent has had so far
    app.ring->post([&app] { become_ready(app); });
    return {};
}

}  // namespace

void start_watcher(App& app) {
    Watcher::Options options{app.config.scope, app.policies, app.config.deny_unnamed, app.vault.get(), app.governed_until.get()};
    app.worker->post([&app, options = std::move(options)]() mutable {
        Status loaded = load_and_scan(app, std::move(options));
        if (loaded) return;
        app.ring->post([&app, error = loaded.error()] {
            app.start_error = error;
            leave_resumed(app, fail(exit_code_of(error), error));
        });
    });
}

}  // namespace callgate
