// The sessions that are left to another agent, and how that one begins with them.
#include "base/clock.h"
#include "enforce/http_sessions.h"

namespace callgate {
namespace {

SavedHttpSession saved_of(HttpSession& session) {
    SavedHttpSession saved;
    saved.id = session.id;
    saved.policy = session.policy->name();
    saved.key = session.key;
    saved.kind = static_cast<uint8_t>(session.kind);
    saved.facts = *session.facts;
    saved.client_name = session.client_name;
    saved.client_version = session.client_version;
    saved.grant = session.grant;
    saved.path = session.path;
    saved.annotations = session.annotations.all();
    saved.pins = session.pins.save();
    saved.opened_ns = session.opened_ns;
    saved.used_ns = session.used_ns;
    saved.orphaned = session.orphaned;
    saved.ended = session.ended;
    saved.counts = session.counts;
    saved.pending = session.pending.leave();
    return saved;
}

}  // namespace

SavedHttpSessions HttpSessions::leave(const std::vector<Pointer>& ended) {
    SavedHttpSessions saved;
    for (const Pointer& each : sessions_) saved.sessions.push_back(saved_of(*each));
    for (const Pointer& each : ended) saved.sessions.push_back(saved_of(*each));
    saved.paths_left = stream_paths_.leave();
    saved.opened = opened_;
    saved.exchanges = exchanges_;
    sessions_.clear();
    by_key_.clear();
    return saved;
}

void HttpSessions::restore(SavedHttpSessions saved, const PolicyOf& policy_of, CounterTable& counters) {
    opened_ = saved.opened;
    exchanges_ = saved.exchanges;
    stream_paths_.restore(std::move(saved.paths_left));
    const int64_t now_ns = realtime_ns();
    for (SavedHttpSession& each : saved.sessions) {
        auto session = std::make_shared<HttpSession>();
        session->id = std::move(each.id);
        session->key = std::move(each.key);
        session->kind = static_cast<HttpSessionKind>(each.kind);
        session->policy = policy_of(each.facts.server, each.policy);
        session->pins = SessionPins(pins_, pin_server_key(each.facts.server));
        session->pins.restore(each.pins);
        session->facts = std::make_shared<const HttpFacts>(std::move(each.facts));
        session->client_name = std::move(each.client_name);
        session->client_version = std::move(each.client_version);
        session->grant = std::move(each.grant);
        session->path = std::move(each.path);
        for (const auto& [tool, annotations] : each.annotations) session->annotations.remember(tool, annotations);
        session->opened_ns = each.opened_ns;
        session->used_ns = each.used_ns;
        session->orphaned = each.orphaned;
        session->counts = each.counts;
        session->ended = each.ended;
        session->audit_session = audit_.describe(session->facts->session_facts(session->id, *session->policy, session->grant));
        session->pending.charged_to(counters);
        session->pending.restore(std::move(each.pending), now_ns);
        restored_[session->id] = session;
        if (session->ended) continue;
        session->place = sessions_.insert(sessions_.end(), session);
        if (!session->key.empty()) by_key_[session->key] = session;
        if (session->kind == HttpSessionKind::stream) stream_paths_.begin(*session->facts, session->path);
        audit_.event(
            "session_resumed", session->audit_session,
            {{"state", "\"enforced\""}, {"killed", "false"}, {"before", json_text(session->counts, session->pending.size())}});
    }
}

HttpSessions::Pointer HttpSessions::restored(std::string_view id) const {
    const auto found = restored_.find(id);
    return found == restored_.end() ? nullptr : found->second;
}

void HttpSessions::all_restored() {
    for (const auto& [id, session] : std::exchange(restored_, {})) {
        const bool has_stream = session->kind != HttpSessionKind::stream || session->stream != nullptr;
        const bool has_name = session->kind != HttpSessionKind::unnamed || session->exchanges > 0;
        if (!has_stream || !has_name) end(session, "its connection could not be kept");
    }
}

}  // namespace callgate
