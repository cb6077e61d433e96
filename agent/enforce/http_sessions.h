// HttpSessions: the sessions of HTTP clients, each of which may use many connections, one after the other or at once.
//
// A session is opened
// - by an initialize: known by the Mcp-Session-Id of the server's response, where that has one (Streamable HTTP);
// - by the `endpoint` event of a GET stream: known by the target that the event names (HTTP+SSE);
// - else by who asks: local user and program, or remote host, and the clientInfo name of revision 2026-07-28.
//
//   POST initialize -> response with Mcp-Session-Id: 1f  ->  session_start; every request with that header belongs to it
//   DELETE with Mcp-Session-Id: 1f -> 200                ->  session_end, with its counts
//
// Only a server makes the first two: a header that no server gave means nothing, so that nobody gets fresh counters by
// making one up. Bounded: where kHttpSessionsMax are open, the one unused longest ends, with its stream. One thread.
#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "audit/log.h"
#include "enforce/frame_counts.h"
#include "enforce/http_facts.h"
#include "enforce/http_saved.h"
#include "enforce/pending.h"
#include "enforce/stream_paths.h"
#include "policy/caller_grant.h"
#include "policy/policy.h"
#include "policy/session_pins.h"

namespace callgate {

class HttpGate;

enum class HttpSessionKind : uint8_t { unnamed, header, stream, peer };

struct HttpSession {
    // No exchange of it is in hand any more, in which an answer could come.
    ~HttpSession() { pending.never_answered(); }

    std::string id;  // in audit records and counters; never what the server or the client says
    HttpSessionKind kind = HttpSessionKind::unnamed;
    std::shared_ptr<const HttpFacts> facts;  // of the connection that opened it
    std::shared_ptr<const Policy> policy;
    std::string client_name, client_version;  // clientInfo, as the client says
    std::string grant;                        // of who sent its last message
    ToolAnnotations annotations;              // of the server's lists
    SessionPins pins;
    std::string path;       // where its requests go. header: only there may the server end it
    int64_t opened_ns = 0;  // realtime
    int64_t used_ns = 0;    // monotonic
    size_t exchanges = 0;   // requests of it in hand, event streams among them: while there are any it is not idle
    bool orphaned = false;  // its listener has gone: it ends when nothing is in hand
    FrameCounts counts;
    PendingTable pending;         // forwarded and not answered
    HttpGate* stream = nullptr;   // HTTP+SSE: where its answers go, while that is open
    std::vector<HttpGate*> held;  // with a request that waits for room in a limit
    size_t held_bytes = 0;
    bool ended = false;

    // What places it in its table; for HttpSessions only.
    std::string key;
    std::shared_ptr<const AuditSession> audit_session;
    std::list<std::shared_ptr<HttpSession>>::iterator place;
};

class HttpSessions {
  public:
    // All of them outlive it.
    HttpSessions(AuditLog& audit, const GrantsInForce& grants, PinTable& pins) : audit_(audit), grants_(grants), pins_(pins) {}
    ~HttpSessions() { end_all("the agent stops"); }
    HttpSessions(const HttpSessions&) = delete;
    HttpSessions& operator=(const HttpSessions&) = delete;

    using Facts = std::shared_ptr<const HttpFacts>;
    using PolicyPointer = std::shared_ptr<const Policy>;
    using Pointer = std::shared_ptr<HttpSession>;

    // --- for the gates --------------------------------------------------------------------------------------------
    const GrantsInForce& grants() const { return grants_; }
    PinTable& pins() { return pins_; }
    // A session without a name yet: an initialize is on its way. Name it or end it.
    Pointer open(const Facts& facts, PolicyPointer policy, std::string_view client_name);
    // The server has given the session a name. Ends an older session of that name.
    void name_by_header(const Pointer& session, std::string_view header, std::string_view path);
    // The server has given it none: it is the session of this peer from now on.
    void name_by_peer(const Pointer& session, std::string_view client_name);
    Pointer find_by_header(const HttpFacts& facts, std::string_view header);
    // Opens one where there is none.
    Pointer by_peer(const Facts& facts, const PolicyPointer& policy, std::string_view client_name);
    // HTTP+SSE: `gate` streams, and its server takes this session's messages at `target`.
    Pointer open_stream(const Facts& facts, PolicyPointer policy, std::string_view target, HttpGate& gate);
    Pointer find_by_target(const HttpFacts& facts, std::string_view target);
    // Where the messages of streams go, or lately went.
    StreamPaths& stream_paths() { return stream_paths_; }
    void end(const Pointer& session, std::string_view reason);
    // Numbers exchanges, from 1: an id in flight in one of them is not the same id in flight in another.
    uint64_t next_exchange() { return ++exchanges_; }

    // --- for the owner --------------------------------------------------------------------------------------------
    // The listener with this key (HttpFacts) has gone: its sessions end, those with a request in hand by end_idle().
    void end_of_listener(std::string_view listener_key);
    // Ends what has not been used for kHttpSessionIdleSeconds, or has lost its listener. Call it now and then.
    void end_idle(int64_t now_monotonic_ns);
    void end_all(std::string_view reason);
    size_t size() const { return sessions_.size(); }
    uint64_t opened() const { return opened_; }
    const std::list<Pointer>& sessions() const { return sessions_; }  // unused longest first

    // For another agent: all that are open, and those that have ended and have an exchange in hand; nothing is left here, and
    // nothing ends. After the gates have left.
    SavedHttpSessions leave(const std::vector<Pointer>& ended);
    // In the other agent, before the gates. `policy_of`: of what governs the server now, or of the name.
    using PolicyOf = std::function<PolicyPointer(ServerIdentity&, const std::string& name)>;
    void restore(SavedHttpSessions saved, const PolicyOf& policy_of, CounterTable& counters);
    // For gates that are restored, until all_restored(); null where there is none.
    Pointer restored(std::string_view id) const;
    // What lived by a connection that has not come ends.
    void all_restored();

  private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    void give_key(const Pointer& session, HttpSessionKind kind, std::string key, std::string_view replaced);
    Pointer find(const std::string& key);
    void make_room();

    AuditLog& audit_;
    const GrantsInForce& grants_;
    PinTable& pins_;
    RecordIdMaker ids_;
    std::list<Pointer> sessions_;
    std::unordered_map<std::string, Pointer, Hash, std::equal_to<>> by_key_;
    StreamPaths stream_paths_;
    uint64_t opened_ = 0, exchanges_ = 0;
    std::unordered_map<std::string, Pointer, Hash, std::equal_to<>> restored_;  // by id
};

}  // namespace callgate
