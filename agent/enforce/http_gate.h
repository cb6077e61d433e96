// HttpGate: what happens to the bytes of one HTTP/1.1 connection between a client and an MCP server. It judges every
// message of the client, and says what goes on to whom. No I/O: bytes in, bytes out, counts and audit records on the
// side.
//
//   client_bytes("POST /mcp … {…tools/call \"rm\"…}")   ->  to_server: nothing; to_client: "HTTP/1.1 200 OK … {denial}"
//
// Invariants
// - A message reaches the server only inside one canonical request whose body is the bytes that were judged (I2).
//   What is not MCP passes byte for byte. What two HTTP parsers could read differently reaches nobody: 400.
// - counts().in = forwarded + denied + refused + held, once no exchange is in hand (I3).
// - One exchange at a time, answers in the order of the requests; an answer of ours never splits one of the server's.
//
// The owner reads the client while wants_client(), connects to the server at the first wants_server(), writes what is
// in to_server and to_client, and closes as close_client() and ends_server() say.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "audit/log.h"
#include "base/limits.h"
#include "enforce/frame_counts.h"
#include "enforce/http_facts.h"
#include "policy/policy.h"

namespace callgate {

class HttpSessions;
struct HttpSession;
struct SavedHttpGate;

struct HttpGateOptions {
    std::shared_ptr<const Policy> policy;
    HttpFacts facts;
    size_t frame_bytes_max = kFrameBytesDefault;  // longest body that is judged
    // What is no HTTP is cut instead of passed: the server may be one that takes messages on lines, or have read the beginning
    // of a request already.
    bool http_only = false;
    ApprovalDesk* approvals = nullptr;  // outlives the gate; null: what needs approval is denied
};

class HttpGate {
  public:
    // `to_server`, `to_client`: what is to be written; the owner takes from their front. All references outlive the gate.
    HttpGate(HttpGateOptions options, HttpSessions& sessions, CounterTable& counters, AuditLog& audit, std::string& to_server,
             std::string& to_client);
    ~HttpGate();
    HttpGate(const HttpGate&) = delete;
    HttpGate& operator=(const HttpGate&) = delete;

    void client_bytes(std::string_view bytes);
    void client_end();  // it has shut down its sending side; it may still wait for its answer
    void server_bytes(std::string_view bytes);
    void server_end();     // the server closed: ends a response without a length, or breaks one
    void server_failed();  // could not connect: the request in hand is answered with 502

    // False while enough is waiting already: pipelined requests behind the one in hand, or output that is not written.
    bool wants_client() const;
    // From the first byte for the server on: connect.
    bool wants_server() const;
    // Bytes to_server has got that are the gate's own answers: who makes it write them without reading any may wait.
    uint64_t told_server_bytes() const;
    // Once to_client is written: close both. Stays true. The client may still be sending, and a close with bytes unread
    // would take our answer away from it: shut down, read on for a moment and drop what comes, then close.
    bool close_client() const;
    // Once to_server is written: the client will send nothing more, shut down the sending side to the server.
    bool ends_server() const;
    // Between two exchanges: may be closed without anyone losing anything.
    bool is_quiet() const;

    // Not empty: these bytes cannot be read ("TLS", "HTTP/2"). Nothing of them was passed. The owner does what the
    // policy's on_blind says: pass_blind(), or close. The audit event has been written.
    std::string_view blind_reason() const;
    void pass_blind();
    // Not empty: both directions pass untouched from here on ("not HTTP", "WebSocket", …).
    std::string_view tunnel_reason() const;

    const FrameCounts& counts() const;
    // Requests that went to the server on this connection, MCP or not.
    uint64_t requests_passed() const;

    // An answer for a call that came over another connection of the same session (HTTP+SSE): as an event, between two
    // events of the server. Calls on_output. False where there is no such stream, or its client does not read it.
    bool send_event(std::string_view json);
    // The session of the stream is over: so is the connection. Calls on_output.
    void close_stream();
    // Governs from the next message on, and the request that waits; what is in flight keeps what it was charged.
    void use_policy(std::shared_ptr<const Policy> policy);
    const Policy& policy() const;
    const HttpFacts& facts() const;
    // That of the exchange in hand; null where there is none.
    std::shared_ptr<HttpSession> session() const;
    bool http_only() const;
    // A request that waits for room in a limit: is judged for the last time, and no other one waits from now on.
    void end_waiting();
    // Its client has gone: it reaches nobody, and nobody gets an answer.
    void drop_held();
    // Memory has run out at any instant: the books are closed as they are. Only for the end of the connection.
    void give_up();
    // Its connection has ended: so has what was in hand, as when it is destroyed.
    void end();
    // For a gate in another agent: nothing is done with this one any more, and nothing ends with it.
    SavedHttpGate leave();
    // In the other agent, before anything else; its sessions are restored already. False where that cannot be the state of one.
    bool restore(SavedHttpGate saved);
    // Of each request that waits, once restored: when it was read; and it waits again.
    std::vector<int64_t> held_read_ns() const;
    void wait_again(size_t held);
    // The client has cancelled the request with this id, over another connection. False where it does not wait here.
    bool cancel_held(std::string_view id_key);
    // Set by the owner: to_client got bytes from outside, or close_client() has changed.
    std::function<void()> on_output;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace callgate
