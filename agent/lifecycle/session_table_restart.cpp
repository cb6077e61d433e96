// The table's part in a planned restart: sessions are suspended and left to the next agent, which resumes
// them.
#include <algorithm>

#include "base/clock.h"
#include "lifecycle/hand_backs.h"
#include "lifecycle/resumed_policy.h"
#include "lifecycle/session_json.h"
#include "lifecycle/session_table.h"

namespace callgate {
namespace {

using namespace std::chrono_literals;

// How long a session that goes back may take to let its two sides have what is on its way.
constexpr std::chrono::milliseconds kReleasePatience{2000};

}  // namespace

void SessionTable::use_watcher(Watcher* watcher) {
    watcher_ = watcher;
    give_back_ = nullptr;
    if (!watcher) return;
    give_back_ = [watcher](HandBackJob job) { watcher->hand_back(std::move(job)); };
    for (auto& [id, entry] : entries_)
        if (entry.wants_back) hand_back(entry, 10s, std::exchange(entry.wants_back, nullptr));
}

void SessionTable::suspend_all(std::function<void()> done) {
    suspended_ = true;
    for (auto& [id, entry] : entries_) entry.relay->suspend();
    wait_until_suspended(monotonic_ns() + std::chrono::nanoseconds(kSuspendPatience).count(), std::move(done));
}

// What has been given to the watcher to be handed back is on its way out of the table.
void SessionTable::wait_until_suspended(int64_t until_ns, std::function<void()> done) {
    const bool all = buried_.empty() && std::all_of(entries_.begin(), entries_.end(), [](const auto& each) {
                         return each.second.relay->idle() && !each.second.relay->is_handed_over();
                     });
    if (all || monotonic_ns() > until_ns) return done();
    ring_.after(200us, [this, until_ns, done = std::move(done)]() mutable { wait_until_suspended(until_ns, std::move(done)); });
}

std::vector<SessionState> SessionTable::leave_unkept(const std::vector<WatchedSession>& watched) {
    for (const WatchedSession& known : watched) {
        const auto found = entries_.find(known.id);
        if (found == entries_.end()) continue;
        Entry& entry = found->second;
        WatchedSession now = known;
        now.new_input = entry.new_input;
        now.new_output = entry.new_output;
        if (now == entry.watched) continue;
        entry.watched = std::move(now);
        if (entry.kept) entry.kept->write_facts(*entry.relay, facts_of(entry));
    }
    std::vector<SessionState> left;
    for (auto& [id, entry] : entries_) {
        if (entry.relay->is_handed_over() || !entry.relay->idle()) continue;
        if (!entry.kept || !entry.relay->rests_in_ledger()) left.push_back(leave(entry));
    }
    for (const SessionState& each : left) entries_.erase(each.id);
    return left;
}

std::vector<SessionState> SessionTable::leave_all() {
    std::vector<SessionState> left;
    for (auto& [id, entry] : entries_)
        if (!entry.relay->is_handed_over() && entry.relay->idle()) left.push_back(leave(entry));
    for (const SessionState& each : left) entries_.erase(each.id);
    std::vector<RelaySession*> stuck;
    for (auto& [id, entry] : entries_) {
        if (entry.relay->is_handed_over()) continue;
        entry.ended_because = "ended: it could not be suspended";
        stuck.push_back(entry.relay.get());
    }
    for (RelaySession* each : stuck) each->close();
    return left;
}

SessionState SessionTable::leave(Entry& entry) {
    SessionState state = facts_of(entry);
    entry.kept.reset();
    state.relay = entry.relay->leave();
    TakenEnds& ends = state.relay.ends;
    ends.input = state.watched.input;
    ends.output = state.watched.output;
    ends.new_input = state.watched.new_input;
    ends.new_output = state.watched.new_output;
    return state;
}

SessionState SessionTable::facts_of(const Entry& entry) const {
    SessionState facts;
    facts.id = entry.id;
    facts.started = entry.started;
    facts.policy = entry.policy->name();
    facts.fail = entry.fail;
    facts.remark = entry.remark;
    facts.server = entry.server;
    facts.client = entry.client;
    facts.watched = entry.watched;
    facts.relay.ends.input_kind = entry.input_is_socket ? ChannelKind::unix_socket : ChannelKind::pipe;
    facts.relay.ends.output_kind = entry.output_is_socket ? ChannelKind::unix_socket : ChannelKind::pipe;
    return facts;
}

// Where it cannot be kept, a kill ends it.
void SessionTable::keep(Entry& entry) {
    if (!vault_) return;
    auto kept = KeptSession::keep(*vault_, *entry.relay, facts_of(entry));
    if (kept) {
        entry.kept = std::move(*kept);
    } else {
        audit_.event("session_unkept", entry.audit_session, {{"reason", json_text(kept.error().text())}});
    }
}

void SessionTable::resume_all(std::vector<LeftSession> sessions, const PolicyStore& policies,
                              const std::shared_ptr<const Policy>& unnamed) {
    for (LeftSession& each : sessions) {
        Governed governed = governed_by(each.state, policies);
        if (!governed.policy) governed.policy = stand_in_for_bad(each.state.policy, policies);
        const bool is_gone = !governed.policy;
        if (is_gone) governed.policy = unnamed;
        resume(std::move(each), std::move(governed), is_gone ? "released: no policy names it any more" : nullptr);
    }
}

void SessionTable::resume_to_release(std::vector<LeftSession> sessions, const PolicyStore& policies) {
    for (LeftSession& each : sessions) {
        Governed governed = governed_by(each.state, policies);
        if (!governed.policy || governed.policy->mode() == Mode::enforce) governed.policy = stand_in_for_agent(each.state.policy);
        resume(std::move(each), std::move(governed), nullptr);
    }
}

SessionTable::Governed SessionTable::governed_by(SessionState& session, const PolicyStore& policies) {
    std::shared_ptr<const Policy> policy = policy_in_force(session.server, session.policy, policies);
    const Fail fail = policy ? policy->fail() : session.fail;
    return {std::move(policy), fail};
}

void SessionTable::list_waiting(std::vector<ResumedCall>& calls) const {
    for (const auto& [id, entry] : entries_) {
        Gate& gate = entry.relay->gate();
        const std::vector<int64_t> times = gate.held_read_ns();
        for (size_t i = 0; i < times.size(); ++i) calls.push_back({times[i], [&gate, i] { gate.wait_again(i); }});
    }
}

void SessionTable::go_on() {
    if (std::exchange(suspended_, false)) ring_.after(0ms, [this] { run_waiting(); });
    for (const std::string& id : std::exchange(resumed_, {})) {
        if (const auto found = entries_.find(id); found != entries_.end()) found->second.relay->start();
        const auto found = entries_.find(id);
        if (found == entries_.end() || !found->second.wants_back) continue;
        hand_back(found->second, 10s, std::exchange(found->second.wants_back, nullptr));
    }
}

void SessionTable::resume(LeftSession left, Governed governed, const char* wants_back) {
    resumed_.push_back(left.state.id);
    SessionState& session = left.state;
    Entry entry;
    entry.id = session.id;
    entry.started = std::move(session.started);
    entry.server = std::move(session.server);
    entry.client = std::move(session.client);
    entry.remark = std::move(session.remark);
    entry.watched = std::move(session.watched);
    entry.policy = std::move(governed.policy);
    entry.fail = governed.fail;
    entry.wants_back = wants_back;
    if (left.given_back) return note_given_back(entry, session.relay.gate, *left.given_back);
    TakenEnds ends = std::move(session.relay.ends);
    const LeftSession::Begun begun = left.begun.value_or(LeftSession::Begun{});
    Entry& placed = place(std::move(entry), std::move(ends), begun.start, begun.certain);
    if (left.begun) {
        note_start(placed, begun.start);
    } else {
        audit_.event("session_resumed", placed.audit_session,
                     {{"state", "\"enforced\""},
                      {"killed", left.was_killed ? "true" : "false"},
                      {"before", counts_json(session.relay.gate.counts).dump()}});
    }
    placed.kept = std::move(left.kept);
    const AuditLog::Turn turn(audit_);
    if (!left.begun && !placed.relay->restore(std::move(session.relay))) {
        placed.ended_because = "its state cannot be that of a session";
        return placed.relay->close();
    }
    if (!placed.kept) keep(placed);
}

void SessionTable::release_all(std::function<void()> done) {
    all_done_ = std::move(done);
    give_back_ = [this](HandBackJob job) { hand_back_now(std::move(job)); };
    const auto each_that_fails = [this](Fail fail, const auto& work) {
        std::vector<std::string> ids;
        for (auto& [id, entry] : entries_)
            if (entry.fail == fail) ids.push_back(id);
        for (const std::string& id : ids)
            if (const auto found = entries_.find(id); found != entries_.end()) work(found->second);
    };
    each_that_fails(Fail::closed, [](Entry& entry) {
        entry.ended_because = "ended: no agent could go on with it";
        entry.relay->close_behind_output();
    });
    go_on();  // those of resume_to_release()
    each_that_fails(Fail::open,
                    [this](Entry& entry) { hand_back(entry, kReleasePatience, "handed back: no agent could go on with it"); });
    finish_if_empty();
}

// All those that are quiet by the next turn are looked for at once, by the worker: this thread may not trace.
void SessionTable::hand_back_now(HandBackJob job) {
    to_give_back_.push_back(std::move(job));
    if (to_give_back_.size() > 1) return;
    ring_.after(1ms, [this] {
        auto jobs = std::make_shared<std::vector<HandBackJob>>(std::exchange(to_give_back_, {}));
        worker_.post([jobs] { give_back(std::move(*jobs), nullptr, [](const HandBackJob&, bool) {}); });
    });
}

void SessionTable::lose(const std::string& reason) { audit_.event("session_lost", nullptr, {{"reason", json_text(reason)}}); }

std::vector<ResumedServer> SessionTable::resumed() const {
    std::vector<ResumedServer> list;
    for (const auto& [id, entry] : entries_) {
        if (entry.watched.id.empty()) continue;
        const ChannelKind kind = entry.input_is_socket ? ChannelKind::unix_socket : ChannelKind::pipe;
        list.push_back({entry.watched, kind, entry.server, {entry.policy, {}}});
    }
    return list;
}

}  // namespace callgate
