#include "enforce/http_sessions.h"

#include <algorithm>

#include "audit/safe_text.h"
#include "base/clock.h"
#include "base/limits.h"
#include "enforce/http_gate.h"
#include "http/target_path.h"

namespace callgate {
namespace {

constexpr std::string_view kListenerGone = "its server has gone";

std::string json_string(std::string_view text) {
    std::string out;
    append_json_text(out, text);
    return out;
}

std::string_view name(HttpSessionKind kind) {
    switch (kind) {
        case HttpSessionKind::unnamed: return "unnamed";
        case HttpSessionKind::header: return "header";
        case HttpSessionKind::stream: return "stream";
        case HttpSessionKind::peer: return "peer";
    }
    return "";
}

// The parts cannot run into each other: what a client or a server chose stands last.
std::string key_of(const HttpFacts& facts, HttpSessionKind kind, std::string_view value) {
    std::string key = facts.listener_key();
    key.append("\n").append(name(kind)).append("\n").append(value);
    return key;
}

std::string peer_key(const HttpFacts& facts, std::string_view client_name) {
    const std::string who =
        facts.peer_is_local() ? std::to_string(facts.peer.process.uid) + " " + facts.peer.process.exe : facts.peer_host();
    // The length says where the name ends, whatever is in it.
    const std::string name_and_peer = std::to_string(client_name.size()) + " " + std::string(client_name) + who;
    return key_of(facts, HttpSessionKind::peer, name_and_peer);
}

}  // namespace

HttpSessions::Pointer HttpSessions::open(const Facts& facts, PolicyPointer policy, std::string_view client_name) {
    make_room();
    auto session = std::make_shared<HttpSession>();
    session->id = "h-";
    session->opened_ns = realtime_ns();
    session->id += ids_.next(session->opened_ns / 1'000'000).view();
    session->facts = facts;
    session->policy = std::move(policy);
    session->client_name = client_name.substr(0, kNameBytesMax);
    session->used_ns = monotonic_ns();
    session->pins = SessionPins(pins_, pin_server_key(facts->server));
    CallerGrant grant(grants_, facts->grant, facts->peer);
    grant.know_client(session->client_name);
    session->grant = grant.key();
    session->audit_session = audit_.describe(facts->session_facts(session->id, *session->policy, session->grant));
    session->place = sessions_.insert(sessions_.end(), session);
    ++opened_;
    std::vector<std::pair<std::string, std::string>> members = {{"state", "\"enforced\""}};
    if (!session->client_name.empty()) members.emplace_back("client", json_string(session->client_name));
    audit_.event("session_start", session->audit_session, members);
    return session;
}

void HttpSessions::name_by_header(const Pointer& session, std::string_view header, std::string_view path) {
    session->path = path;
    give_key(session, HttpSessionKind::header, key_of(*session->facts, HttpSessionKind::header, header),
             "the server gave its name to a new session");
}

void HttpSessions::name_by_peer(const Pointer& session, std::string_view client_name) {
    give_key(session, HttpSessionKind::peer, peer_key(*session->facts, client_name), "its client began a new one");
}

HttpSessions::Pointer HttpSessions::find_by_header(const HttpFacts& facts, std::string_view header) {
    return find(key_of(facts, HttpSessionKind::header, header));
}

HttpSessions::Pointer HttpSessions::by_peer(const Facts& facts, const PolicyPointer& policy, std::string_view client_name) {
    client_name = client_name.substr(0, kNameBytesMax);
    if (Pointer known = find(peer_key(*facts, client_name))) return known;
    Pointer session = open(facts, policy, client_name);
    name_by_peer(session, client_name);
    return session;
}

HttpSessions::Pointer HttpSessions::open_stream(const Facts& facts, PolicyPointer policy, std::string_view target,
                                                HttpGate& gate) {
    Pointer session = open(facts, std::move(policy), {});
    session->stream = &gate;
    session->path = loosest_path(target.substr(0, target.find('?')));
    stream_paths_.begin(*facts, session->path);
    give_key(session, HttpSessionKind::stream, key_of(*facts, HttpSessionKind::stream, target),
             "the server gave its target to a new stream");
    return session;
}

HttpSessions::Pointer HttpSessions::find_by_target(const HttpFacts& facts, std::string_view target) {
    return find(key_of(facts, HttpSessionKind::stream, target));
}

void HttpSessions::end(const Pointer& session, std::string_view reason) {
    if (session->ended) return;
    const Pointer kept = session;  // `session` may be a reference into what is erased here
    kept->ended = true;
    kept->pending.end_of_session();
    kept->stream = nullptr;
    sessions_.erase(kept->place);
    const auto known = by_key_.find(kept->key);
    if (known != by_key_.end() && known->second == kept) by_key_.erase(known);
    if (kept->kind == HttpSessionKind::stream) stream_paths_.end(*kept->facts, kept->path);
    audit_.event("session_end", kept->audit_session,
                 {{"reason", json_string(reason)},
                  {"known_by", json_string(name(kept->kind))},
                  {"frames", json_text(kept->counts, kept->pending.size())},
                  {"conserved", kept->counts.conserved() ? "true" : "false"}});
}

void HttpSessions::end_of_listener(std::string_view listener_key) {
    for (auto each = sessions_.begin(); each != sessions_.end();) {
        const Pointer session = *each++;
        if (session->facts->listener_key() != listener_key) continue;
        session->orphaned = true;
        if (session->exchanges == 0) end(session, kListenerGone);
    }
}

void HttpSessions::end_idle(int64_t now_monotonic_ns) {
    const int64_t before = now_monotonic_ns - kHttpSessionIdleSeconds * 1'000'000'000;
    for (auto each = sessions_.begin(); each != sessions_.end();) {
        const Pointer session = *each++;
        if (session->exchanges != 0) continue;
        if (session->orphaned) {
            end(session, kListenerGone);
        } else if (session->used_ns < before) {
            end(session, "idle");
        }
    }
}

void HttpSessions::end_all(std::string_view reason) {
    while (!sessions_.empty()) end(sessions_.front(), reason);
}

void HttpSessions::give_key(const Pointer& session, HttpSessionKind kind, std::string key, std::string_view replaced) {
    if (session->ended) return;
    session->kind = kind;
    session->key = std::move(key);
    Pointer& holder = by_key_[session->key];
    const Pointer older = std::exchange(holder, session);
    if (older && older != session) end(older, replaced);
}

// The one that is found has been used.
HttpSessions::Pointer HttpSessions::find(const std::string& key) {
    const auto known = by_key_.find(key);
    if (known == by_key_.end()) return nullptr;
    known->second->used_ns = monotonic_ns();
    sessions_.splice(sessions_.end(), sessions_, known->second->place);
    return known->second;
}

void HttpSessions::make_room() {
    if (sessions_.size() < kHttpSessionsMax) return;
    const auto idle =
        std::find_if(sessions_.begin(), sessions_.end(), [](const Pointer& session) { return session->exchanges == 0; });
    const Pointer given_up = idle != sessions_.end() ? *idle : sessions_.front();
    HttpGate* const stream = given_up->stream;
    end(given_up, "too many sessions: it was unused longest");
    // Its server must forget it too: where its messages go would not be known any more.
    if (stream != nullptr) stream->close_stream();
}

}  // namespace callgate
