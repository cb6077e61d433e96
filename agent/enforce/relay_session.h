// RelaySession: one governed session on the ring: two sources, two sinks, one gate between them.
//
//   client ─► client_source ─► gate ─► server_sink ─► server
//   client ◄─ client_sink  ◄─ gate ◄─ server_source ◄─ server
//
// Back-pressure: the client is not read while more than kOutputBytesHigh waits for either side, answers that wait for the end of
// a line of the server included; the server is not while so much waits for the client, or of what it was told by us for
// itself. An end of file or a broken pipe on one side becomes the same on the other, after everything before it.
// Where memory runs out only this session ends, and failure() says so. What was in hand is refused then.
// All members belong to the loop's thread.
#pragma once
#include <array>
#include <memory>
#include <string>

#include "enforce/gate.h"
#include "enforce/session_ledger.h"
#include "io/stream.h"
#include "takeover/takeover.h"

namespace callgate {

// A session between two agents; the descriptors are those of TakenEnds, absent where that side is closed.
struct RelayState {
    GateState gate;
    std::string to_server, to_client;  // judged, and not written
    TakenEnds ends;
    std::unique_ptr<SessionLedger> ledger;  // of an agent that was killed: what is not written, and not seen, is in it
};

// Bytes that have been written here, and that nobody has read yet.
size_t unread_behind(int fd, bool is_socket);

class RelaySession {
  public:
    struct Events {
        std::function<void(RelaySession&)> ended;              // both directions are over; destroy once idle()
        std::function<void(RelaySession&)> wants_release;      // the server speaks another protocol
        std::function<void(RelaySession&)> ends_changed = {};  // a descriptor of its is about to be closed
        std::function<void(RelaySession&)> ledger_left = {};   // it was too small: a kill now ends the session
    };
    RelaySession(Ring& ring, TakenEnds ends, GateOptions options, CounterTable& counters, AuditLog& audit, Events events);

    // Before start(): from then on no byte is in the memory of this process alone.
    void begin_ledger(std::unique_ptr<SessionLedger> ledger);
    bool has_ledger() const { return ledger_ != nullptr; }
    SessionLedger& ledger() const { return *ledger_; }
    std::shared_ptr<SessionLedger> shared_ledger() const { return ledger_; }  // null where it has none
    // From here on what comes is in the memory of this process again.
    void leave_ledger();
    // Those that are open, in the order of RelayState::ends; -1: closed.
    std::array<int, 4> open_ends() const {
        return {client_source_.fd(), server_sink_.fd(), server_source_.fd(), client_sink_.fd()};
    }
    void start();
    // Bytes that another thread of the server had read from the original during the take-over.
    void late_client_bytes(std::string_view bytes);
    const FrameCounts& counts() const { return gate_.counts(); }
    Gate& gate() { return gate_; }

    // Hand-back, first half: stops reading, lets the server and the client have everything that is on its way. From the
    // instant on at which the client is not read any more, the session goes back even where this process is killed.
    // `ready(true)` is called when both are empty, `ready(false)` after `patience`: then the session does nothing any more,
    // and its ledger is for who gives it back. A client's line that has begun is waited for: for a moment; where the server is
    // released, since it speaks another protocol, until it ends, for then it may be a call, and nobody would judge that; and no
    // longer once hurry() is called, for an agent that stops.
    void quiesce(std::chrono::milliseconds patience, std::function<void(bool drained)> ready);
    void hurry() { hurries_ = true; }
    int original_input() const { return client_source_.fd(); }
    int original_output() const { return client_sink_.fd(); }
    int replacement_output() const { return server_source_.fd(); }
    int replacement_input() const { return server_sink_.fd(); }
    // Bytes that the server has not read: from its replacement, and those that wait for room in it.
    size_t unread_by_server() const;
    // Of a session that is quiet, and has no ledger: who gives it back writes this first.
    Result<Unwritten> unwritten_to_client() const;
    bool output_is_socket() const { return output_is_socket_; }
    // All that has been written to the server's output has reached the client, its end included, where it has ended.
    // A read of this moment may still be on its way: ask twice.
    bool output_delivered() const;

    // For another agent: no byte is read or written from here on. Once idle(), everything is in the channels or in what
    // leave() returns, and the session does nothing any more. One that is_handed_over() cannot be suspended: it is on its way
    // to its server.
    void suspend();
    bool is_handed_over() const { return handed_over_; }
    RelayState leave();
    // The other way: everything is in its ledger, as after a kill. False where it has none, or that had no room.
    bool rests_in_ledger();
    // In the other agent, before start(): nothing is judged until then. False where that cannot be the state of a session.
    bool restore(RelayState state);

    void close();  // both directions at once
    // The same, but what has been judged is written first, as far as there is room. Nothing more is read or judged.
    void close_behind_output();
    bool ended() const { return ended_; }
    // What of ours ended it, or a side of it: "writing to the server: Cannot allocate memory". Empty where nothing did.
    std::string failure() const;
    bool idle() const { return client_source_.idle() && server_source_.idle() && client_sink_.idle() && server_sink_.idle(); }

  private:
    void or_fail(const auto& work);
    void out_of_memory();
    void pump();
    void client_bytes(std::string_view bytes);
    void server_bytes(std::string_view bytes);
    void arrived_otherwise(std::string_view bytes);
    void feed_client_bytes(std::string_view bytes);
    void feed_unseen();
    void use_ledger(std::unique_ptr<SessionLedger> ledger);
    bool add_lines_begun();
    void commit();
    void ends_changed();
    void client_ended();
    void server_ended();
    bool client_must_wait() const;
    bool server_must_wait();
    void reader_gone(Source& writer);
    void end_if_over();
    void give_back_unanswered();
    void quiesce_step();
    void tell_quiet(bool drained);
    void quiesce_on();
    bool release_waits();

    // What is charged and recorded in it becomes valid with the ledger's commit.
    struct Turn {
        explicit Turn(RelaySession& session) : audit(session.audit_), counters(session.counters_) {}
        AuditLog::Turn audit;
        CounterTable::Turn counters;
    };

    Ring& ring_;
    AuditLog& audit_;
    CounterTable& counters_;
    bool input_is_socket_, output_is_socket_;
    Events events_;
    Source client_source_, server_source_;
    Sink server_sink_, client_sink_;
    std::string unread_;
    std::shared_ptr<SessionLedger> ledger_;
    std::shared_ptr<SessionLedger> left_ledger_;  // was too small; what was read into it may still be in use
    bool feeding_ = false;                        // the gate is at work, and what it has said so far is not all
    Gate gate_;
    uint64_t told_and_written_ = 0;  // of Gate::told_server_bytes(), that much has been written
    bool ended_ = false, end_told_ = false, out_of_memory_ = false, suspended_ = false, quiescing_ = false,
         release_asked_ = false;
    bool hurries_ = false;
    bool client_at_end_ = false;  // what it said last may still wait for room in a limit
    bool goes_back_ = false;      // the client is not read any more
    bool handed_over_ = false;    // the descriptors are being given back: what happens on them is not ours any more
    int64_t patience_ns_ = 0, quiesce_deadline_ns_ = 0, line_deadline_ns_ = 0;
    std::function<void(bool)> quiesced_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace callgate
