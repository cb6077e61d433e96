#include "lifecycle/planned_restart.h"

#include <algorithm>
#include <future>
#include <iterator>

#include "base/clock.h"
#include "lifecycle/client_of.h"
#include "lifecycle/hand_backs.h"
#include "lifecycle/session_json.h"
#include "restart/begun_takeover.h"
#include "restart/state_blob.h"

namespace callgate {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr char kAgentLabel[] = "agent";

// First in the parcel: how much there must be.
struct Expected {
    size_t sessions = 0;
    size_t of_http = 0;  // bundles; an agent that knows none says nothing of them
};

Result<Bundle> agent_bundle(const Expected& expected) {
    Bundle bundle{kAgentLabel, {}};
    bundle.fds.push_back(TRY(write_state({{"sessions", expected.sessions}, {"http", expected.of_http}})));
    return bundle;
}

Result<Expected> expected_of(const Bundle& bundle) {
    if (bundle.label != kAgentLabel || bundle.fds.empty())
        return Error::invalid("state of an earlier agent", "does not begin with the agent");
    const json state = TRY(read_state(bundle.fds.front()));
    const auto count = state.find("sessions");
    if (count == state.end() || !count->is_number_unsigned())
        return Error::invalid("state of an earlier agent", "does not say how many sessions there are");
    const auto of_http = state.find("http");
    const bool says_http = of_http != state.end() && of_http->is_number_unsigned();
    return Expected{count->get<size_t>(), says_http ? of_http->get<size_t>() : 0};
}

Result<std::vector<Bundle>> bundles_of(const std::vector<SessionState>& sessions, const LeftHttp& http) {
    std::vector<Bundle> bundles;
    bundles.push_back(TRY(agent_bundle({sessions.size(), 1 + http.connections.size() + http.waiting.size()})));
    for (const SessionState& each : sessions) bundles.push_back(TRY(to_bundle(each)));
    bundles.push_back(TRY(to_bundle(http.sessions, http.cut)));
    for (const SavedHttpConnection& each : http.connections) bundles.push_back(TRY(to_bundle(each)));
    for (const WaitingHttpClient& each : http.waiting) bundles.push_back(TRY(to_bundle(each)));
    return bundles;
}

void all_go_on(SessionTable& sessions, HttpTable& http) {
    std::vector<ResumedCall> waiting;
    sessions.list_waiting(waiting);
    http.list_waiting(waiting);
    wait_again_in_order(std::move(waiting));
    sessions.go_on();
    http.go_on();
}

}  // namespace

void PlannedRestart::begin(const PolicyStore& policies, std::shared_ptr<const Policy> unnamed, std::function<void(Status)> done) {
    policies_ = &policies;
    unnamed_ = std::move(unnamed);
    done_ = std::move(done);
    const auto steered = http_.steering_outlives() ? ListenWatch::Steered::kept : ListenWatch::Steered::released;
    watcher_->stop_taking(steered, [this] {
        ring_.post([this] {
            http_.accept_no_more();
            wait_for_exits(monotonic_ns() + std::chrono::nanoseconds(kSuspendPatience).count());
        });
    });
}

// A server that has ended is kept a zombie by this process until its client has the last of its output.
void PlannedRestart::wait_for_exits(int64_t until_ns) {
    if ((!sessions_.exits().none() || http_.is_accepting()) && monotonic_ns() < until_ns)
        return ring_.after(200us, [this, until_ns] { wait_for_exits(until_ns); });
    watcher_->list_sessions([this](std::vector<WatchedSession> watched) {
        auto shared = std::make_shared<std::vector<WatchedSession>>(std::move(watched));
        ring_.post([this, shared] { unload(std::move(*shared)); });
    });
}

// The kernel takes its time to let go of programs, tenths of a second; sessions need not wait for that. Who starts or ends from
// here on is found by the next agent.
void PlannedRestart::unload(std::vector<WatchedSession> watched) {
    sessions_.use_watcher(nullptr);
    http_.use_watcher(nullptr);
    auto shared = std::make_shared<std::vector<WatchedSession>>(std::move(watched));
    // Gone for the loop at once: it may be asked for its figures meanwhile.
    worker_.post([this, shared, watcher = std::shared_ptr<Watcher>(std::move(watcher_))]() mutable {
        watcher.reset();
        ring_.post([this, shared] {
            http_.suspend();
            sessions_.suspend_all(
                [this, shared] { wait_for_http(shared, monotonic_ns() + std::chrono::nanoseconds(kSuspendPatience).count()); });
        });
    });
}

void PlannedRestart::wait_for_http(std::shared_ptr<std::vector<WatchedSession>> watched, int64_t until_ns) {
    if (http_.is_suspended() || monotonic_ns() > until_ns) return leave(*watched);
    ring_.after(200us, [this, watched = std::move(watched), until_ns]() mutable { wait_for_http(std::move(watched), until_ns); });
}

void PlannedRestart::leave(const std::vector<WatchedSession>& watched) {
    std::vector<SessionState> states = sessions_.leave_unkept(watched);
    LeftHttp http = http_.leave();
    const auto give = [&]() -> Status {
        const std::vector<Bundle> bundles = TRY(bundles_of(states, http));
        const Fd parcel = TRY(pack(bundles));
        return carrier_.keep(parcel);
    };
    const Status given = give();
    if (!given) {
        carrier_.forget();  // should it be taken only now
        for (SessionState& each : sessions_.leave_all()) states.push_back(std::move(each));
        std::vector<LeftSession> not_given;
        for (SessionState& each : states) not_given.push_back({std::move(each), nullptr, false});
        http_.resume(std::move(http), *policies_, unnamed_);
        sessions_.resume_all(std::move(not_given), *policies_, unnamed_);
        all_go_on(sessions_, http_);
    }
    done_(given);
}

namespace {

using Problems = std::vector<std::string>;

void lose(SessionTable& sessions, const std::string& why, Problems& problems) {
    problems.push_back("sessions of the agent before: " + why);
    sessions.lose(why);
}

// Of those that were not kept. Where there is one, the restart was planned, and nobody was killed.
void take_parcel(Carrier& carrier, SessionTable& sessions, std::vector<LeftSession>& left, LeftHttp& http, Problems& problems) {
    const Fd parcel = carrier.take();
    if (!parcel) return;
    for (LeftSession& each : left) each.was_killed = false;
    auto bundles = unpack(parcel);
    carrier.forget();
    if (!bundles) return lose(sessions, bundles.error().text(), problems);
    if (bundles->empty()) return lose(sessions, "nothing was left in the store", problems);
    Result<Expected> expected = expected_of(bundles->front());
    if (!expected) return lose(sessions, expected.error().text(), problems);
    Expected came;
    for (auto bundle = bundles->begin() + 1; bundle != bundles->end(); ++bundle) {
        if (is_of_http(*bundle)) {
            ++came.of_http;
            const Status taken = take_bundle(std::move(*bundle), http);
            if (!taken) lose(sessions, taken.error().text(), problems);
            if (!taken) ++http.cut;
            continue;
        }
        ++came.sessions;
        auto session = session_of(std::move(*bundle));
        if (session) {
            left.push_back({std::move(*session), nullptr, false});
        } else {
            lose(sessions, session.error().text(), problems);
        }
    }
    if (came.sessions != expected->sessions)
        lose(sessions, std::to_string(expected->sessions) + " were left, and " + std::to_string(came.sessions) + " came",
             problems);
    if (came.of_http != expected->of_http)
        lose(sessions, std::to_string(expected->of_http) + " of HTTP were left, and " + std::to_string(came.of_http) + " came",
             problems);
}

SessionState facts_of(BegunTakeover begun, ServerIdentity server) {
    SessionState facts;
    TakenEnds& ends = begun.ends;
    facts.id = facts.watched.id = begun.id;
    facts.started = utc_now();
    facts.policy = begun.policy;
    facts.remark = begun.remark;
    facts.fail = begun.fail;
    facts.server = std::move(server);
    facts.client = client_of(begun.pid, ends.input);
    facts.watched = {begun.id, {begun.pid}, ends.input, ends.output, ends.new_input, ends.new_output};
    facts.relay.ends = std::move(ends);
    return facts;
}

// Of processes that shared an input the first makes a session, and the others join it: the agent may have been killed before the
// last of that. What this one had read comes behind what had come in. ErrorKind::gone: none of that session is there any more.
Status join(LeftSession& session, const BegunTakeover& begun, Worker& worker) {
    WatchedSession& watched = session.state.watched;
    Status joined;
    worker.do_and_wait([&] {  // this thread may not trace
        joined = share_replacement(begun.pid, begun.ends, watched.pids, watched.new_input, watched.new_output, {});
    });
    TRY_VOID(joined);
    watched.pids.push_back(begun.pid);
    RelayState& relay = session.state.relay;
    if (!relay.ledger) {
        relay.ends.unread += begun.ends.unread;
    } else if (!relay.ledger->bytes().add(Ledger::kToServer, begun.ends.unread)) {
        return Error{ErrorKind::limit, 0, "ledger", "has no room"};
    }
    return {};
}

LeftSession* session_to_join(std::vector<LeftSession>& left, const BegunTakeover& begun) {
    const auto found = std::find_if(left.begin(), left.end(), [&](const LeftSession& each) {
        return each.state.watched.input == begun.ends.input && each.state.policy == begun.policy && !each.given_back;
    });
    return found == left.end() ? nullptr : &*found;
}

// A take-over that an agent was at when it was killed. One that cannot be undone ends: neither side waits for
// anybody.
void go_on_with(Vault::Found found, Worker& worker, std::vector<LeftSession>& left, Problems& problems) {
    Result<BegunTakeover> begun = begun_of(std::move(found.bundle));
    if (!begun) return problems.push_back(begun.error().text());
    const bool is_kept =
        std::any_of(left.begin(), left.end(), [&](const LeftSession& each) { return each.state.id == begun->id; });
    if (is_kept) return;
    Result<Settled> settled = Settled::undone;
    worker.do_and_wait([&] { settled = settle(*begun); });  // this thread may not trace
    if (!settled && settled.error().kind != ErrorKind::gone)
        problems.push_back("take-over of the agent before: " + settled.error().text());
    if (!settled || settled.value() == Settled::undone) return;
    if (LeftSession* session = session_to_join(left, *begun)) {
        const Status joined = join(*session, *begun, worker);
        if (joined) return;
        if (joined.error().kind != ErrorKind::gone)
            return problems.push_back("take-over of the agent before: " + joined.error().text());
    }
    auto server = identify_server(begun->pid);
    if (!server) return problems.push_back("take-over of the agent before: " + server.error().text());
    LeftSession session;
    session.begun = LeftSession::Begun{begun->start, begun->certain, std::move(found.entry)};
    session.was_killed = true;
    session.state = facts_of(std::move(*begun), std::move(*server));
    left.push_back(std::move(session));
}

// Those that an agent was giving back when it was killed have partly their own channels by now: there is no way but onward.
void give_back_those_on_their_way(std::vector<LeftSession>& left, Worker& worker, Problems& problems) {
    std::vector<LeftSession*> going;
    std::vector<RelayState*> relays;
    for (LeftSession& each : left) {
        if (!each.kept || !each.state.relay.ledger->bytes().goes_back()) continue;
        going.push_back(&each);
        relays.push_back(&each.state.relay);
    }
    if (going.empty()) return;
    std::vector<std::string> said;
    worker.do_and_wait([&] { said = finish_giving_back(relays); });  // this thread may not trace
    for (size_t i = 0; i < going.size(); ++i) {
        if (!said[i].empty()) problems.push_back("hand-back of the agent before: " + said[i]);
        going[i]->given_back = std::move(said[i]);
    }
}

// To read them takes longer than all the rest, while every client waits: the worker reads one half.
void take_kept(std::vector<Vault::Found>& found, Worker& worker, SessionTable& sessions, std::vector<LeftSession>& left,
               Problems& problems) {
    struct Taken {
        SessionState state;
        Result<std::unique_ptr<KeptSession>> kept = std::unique_ptr<KeptSession>();
    };
    std::vector<Taken> taken(found.size());
    const auto take = [&](size_t from, size_t to) {
        for (size_t i = from; i < to; ++i) taken[i].kept = KeptSession::take(found[i], taken[i].state);
    };
    const size_t half = found.size() / 2;
    std::promise<void> other_half;
    worker.post([&] {
        take(half, found.size());
        other_half.set_value();
    });
    take(0, half);
    other_half.get_future().wait();
    for (size_t i = 0; i < found.size(); ++i) {
        Taken& each = taken[i];
        if (each.kept) {
            sessions.counters().redo(each.state.relay.ledger->bytes().effects(), realtime_ns());
            LeftSession session;
            session.state = std::move(each.state);
            session.kept = std::move(*each.kept);
            session.was_killed = true;
            left.push_back(std::move(session));
        } else {
            lose(sessions, each.kept.error().text(), problems);
            if (found[i].entry) found[i].entry->remove();
        }
    }
}

// What an agent was at when it was killed, or a new vault.
Result<std::unique_ptr<Vault>> open_vault(Carrier& carrier, Worker& worker, SessionTable& sessions,
                                          std::vector<LeftSession>& left, std::vector<Vault::Found>& steering,
                                          Problems& problems) {
    Fd reading = carrier.take_vault_reading(), writing = carrier.take_vault_writing();
    if (!reading || !writing) {
        std::unique_ptr<Vault> made = TRY(Vault::create());
        TRY_VOID(carrier.keep_vault(made->reading(), made->writing()));
        return made;
    }
    std::vector<Vault::Found> found;
    std::unique_ptr<Vault> vault = TRY(Vault::adopt(std::move(reading), std::move(writing), found));
    const auto begun = std::stable_partition(found.begin(), found.end(),
                                             [](const Vault::Found& each) { return each.bundle.label != kBegunLabel; });
    std::vector<Vault::Found> take_overs(std::make_move_iterator(begun), std::make_move_iterator(found.end()));
    found.erase(begun, found.end());
    std::vector<Vault::Found> kept;
    for (Vault::Found& each : found) {
        if (each.bundle.label.starts_with(kSteeringLabel)) {
            steering.push_back(std::move(each));
            continue;
        }
        kept.push_back(std::move(each));
    }
    take_kept(kept, worker, sessions, left, problems);
    give_back_those_on_their_way(left, worker, problems);
    for (Vault::Found& each : take_overs) go_on_with(std::move(each), worker, left, problems);
    return vault;
}

// What a killed agent has recorded of a session beyond its ledger has led to nothing, and is judged anew.
void settle_audit(AuditLog& audit, const std::vector<LeftSession>& left) {
    std::unordered_map<std::string_view, uint32_t> committed;
    for (const LeftSession& each : left)
        if (each.kept) committed[each.state.id] = each.state.relay.gate.records;
    audit.settle([&](std::string_view session, uint32_t number) {
        const auto found = committed.find(session);
        return found == committed.end() || static_cast<int32_t>(number - found->second) <= 0;
    });
}

struct Left {
    std::vector<LeftSession> sessions;
    LeftHttp http;
};

Left take_left(Carrier& carrier, Worker& worker, std::unique_ptr<Vault>& vault, SessionTable& sessions, AuditLog& audit,
               std::vector<Vault::Found>& steering, Problems& problems) {
    Left left;
    if (carrier.kind() != Carrier::Kind::none && !vault) {
        auto opened = open_vault(carrier, worker, sessions, left.sessions, steering, problems);
        if (opened) {
            vault = std::move(*opened);
        } else {
            problems.push_back("sessions will end if this agent is killed: " + opened.error().text());
        }
    }
    if (vault) sessions.use_vault(*vault);
    settle_audit(audit, left.sessions);
    take_parcel(carrier, sessions, left.sessions, left.http, problems);
    return left;
}

}  // namespace

void resume_sessions(Carrier& carrier, Worker& worker, std::unique_ptr<Vault>& vault, SessionTable& sessions, HttpTable& http,
                     AuditLog& audit, const PolicyStore& policies, const std::shared_ptr<const Policy>& unnamed,
                     std::vector<Vault::Found>& steering, std::vector<std::string>& problems,
                     const std::function<Status(std::string_view)>& take_back) {
    Left left = take_left(carrier, worker, vault, sessions, audit, steering, problems);
    const Status taken_back = take_back(sessions.counters().unfinished_turn());
    if (!taken_back) problems.push_back("approvals of the agent before: " + taken_back.error().text());
    http.resume(std::move(left.http), policies, unnamed);
    sessions.resume_all(std::move(left.sessions), policies, unnamed);
    all_go_on(sessions, http);
}

void resume_to_release(Carrier& carrier, Worker& worker, std::unique_ptr<Vault>& vault, SessionTable& sessions, AuditLog& audit,
                       const PolicyStore& policies, std::vector<Vault::Found>& steering, std::vector<std::string>& problems) {
    Left left = take_left(carrier, worker, vault, sessions, audit, steering, problems);
    sessions.resume_to_release(std::move(left.sessions), policies);
}

}  // namespace callgate
