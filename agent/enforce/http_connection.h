// HttpConnection: one connection of a client to a governed server, on the ring: two sockets, and one gate between them.
//
//   client ─► client_source ─► gate ─► server_sink ─► server
//   client ◄─ client_sink  ◄─ gate ◄─ server_source ◄─ server
//
// The server is connected to as soon as the client is accepted, as it would be without the agent: it may be one that
// speaks first, and its own time limits begin to run. Back-pressure: neither side is read while more than
// kOutputBytesHigh waits for the one it would be written to, nor the client while the gate does not want it. An end is
// passed on as an end, a reset as a reset. Where memory runs out this connection is reset, and no other one.
//
// Without a gate (the listener turned out to be nobody's business) both directions pass as they are.
// All members belong to the loop's thread.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "enforce/http_gate.h"
#include "enforce/http_saved.h"
#include "io/stream.h"
#include "kernel/network_namespace.h"

namespace callgate {

// One that goes on in another agent.
struct SavedHttpConnection {
    Fd client, server;                 // without a server: it has said all that it wants to
    std::optional<cg_exempt> exempt;   // the agent's own connection to the server, as steering knows it
    cg_channel_key replacement{};      // HttpConnection::Ends
    std::string to_server, to_client;  // not written yet
    bool client_spoke = false;
    bool lingers = false;  // only the client's end is waited for
    // Absent where both directions pass.
    std::optional<SavedHttpGate> gate;
    std::string policy;  // of the gate: its name
    HttpFacts facts;
    bool http_only = false;
};

class HttpConnection {
  public:
    struct Ends {
        Fd client;                // accepted
        UpstreamSocket upstream;  // without a socket the server cannot be reached
        std::string unread;       // of the client's, read by somebody else before
        // What the server has in the place of its end, where its connection was taken over.
        cg_channel_key replacement{};
    };
    // `ended`: both sockets are closed or being closed; destroy once idle().
    using Ended = std::function<void(HttpConnection&)>;

    HttpConnection(Ring& ring, Ends ends, std::optional<HttpGateOptions> options, HttpSessions& sessions, CounterTable& counters,
                   AuditLog& audit, Ended ended);

    void start();
    // From now on: close as soon as no exchange is in hand. One that has just begun is given time to ask for something.
    void drain();
    // For another agent: no byte is read or written from here on. Once idle(), all that is not in the sockets is in what leave()
    // returns, and the connection does nothing any more.
    void suspend();
    // Why it cannot go on elsewhere; empty where it can.
    std::string_view why_not_to_leave() const;
    SavedHttpConnection leave();
    // In the other agent, instead of start(); its ends are given to the constructor. False where that cannot be a connection.
    bool restore(SavedHttpConnection saved);
    void go_on();  // after all are restored
    // Steering knows the agent's own connection, from here on by this.
    void use_exemption(Exemption exemption) { exemption_ = std::move(exemption); }
    const std::optional<cg_exempt>& exempt() const { return exempt_; }
    const cg_channel_key& replacement() const { return replacement_; }
    // The programs that steer are going, and their maps.
    void leave_steering() { exemption_.forget(); }
    void close();  // at once
    bool ended() const { return ended_already_; }
    bool idle() const;
    void use_policy(std::shared_ptr<const Policy> policy);
    // Null where both directions pass.
    const HttpGate* gate() const { return gate_ ? &*gate_ : nullptr; }
    HttpGate* gate() { return gate_ ? &*gate_ : nullptr; }

  private:
    class Connecting : public Completion {
      public:
        explicit Connecting(HttpConnection& owner) : owner_(owner) {}
        void complete(int result, std::string_view) override { owner_.connection_made(result); }

      private:
        HttpConnection& owner_;
    };
    enum class Server { none, connecting, connected, over };

    void connection_made(int result);
    void connected(int result);  // 0, or -errno
    void client_bytes(std::string_view bytes);
    void server_bytes(std::string_view bytes);
    void client_ended();
    void server_ended();
    void server_gone();
    void pump();
    void pump_once();
    void choose_readers();
    void obey_gate();
    void close_client_gently();
    void close_when_all_has_arrived();
    void reset();
    void out_of_memory();
    void end_if_over();
    bool is_quiet() const;

    Ring& ring_;
    Exemption exemption_;
    std::optional<cg_exempt> exempt_;
    cg_channel_key replacement_{};
    bool connected_;
    std::string unread_;
    Ended ended_;
    OnBlind on_blind_ = OnBlind::allow;
    Connecting connecting_{*this};
    Source client_source_, server_source_;
    Sink server_sink_, client_sink_;
    std::optional<HttpGate> gate_;
    Server state_ = Server::none;
    bool pumping_ = false, pump_again_ = false;
    bool connect_in_flight_ = false;
    bool client_spoke_ = false;
    bool draining_ = false, drain_is_old_ = false, suspended_ = false;
    uint64_t told_and_written_ = 0;  // of HttpGate::told_server_bytes(), that much has been written
    bool half_open_tunnel_ = false;  // the server has said all it wants to, and may still listen
    bool lingering_ = false;         // everything is said: only the client's end is waited for
    bool server_reset_ = false;
    bool ended_already_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace callgate
