// Gate: what happens to the bytes of one session. It sees both directions, judges every message of the client, and
// says what goes on to whom. No I/O: bytes in, bytes out, counts and audit records on the side.
//
//   client_bytes("{…tools/call \"rm\"…}\n")   ->  to_server: nothing; to_client: the denial, at a line boundary
//
// Invariants: a frame reaches the server byte for byte or not at all (I2); counts().in = forwarded + denied +
// refused + held (I3); a line of the server is never split by an answer of ours.
#pragma once
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "audit/log.h"
#include "base/outbox.h"
#include "enforce/call_judge.h"
#include "enforce/frame_counts.h"
#include "enforce/gate_state.h"
#include "enforce/opening.h"
#include "enforce/pending.h"
#include "frame/line_framer.h"
#include "jsonrpc/answer.h"
#include "policy/caller_grant.h"
#include "policy/policy.h"
#include "policy/waiting_calls.h"

namespace callgate {

struct GateOptions {
    std::shared_ptr<const Policy> policy;
    std::shared_ptr<const AuditSession> audit_session;
    std::string grant;  // key of the default one; `grants` may have another
    const GrantsInForce* grants = nullptr;
    PinTable* pins = nullptr;
    // The session as the audit log is to see it from now on, when its grant has become another.
    std::function<std::shared_ptr<const AuditSession>(const std::string& grant)> describe;
    std::string session_id;
    ServerIdentity server;  // what conditions ask about it, and about the client
    PeerIdentity peer;
    Opening::Start start = Opening::Start::fresh;
    bool certain = true;
    size_t frame_bytes_max = kFrameBytesDefault;
    ApprovalDesk* approvals = nullptr;  // outlives the gate; null: what needs approval is denied
};

class Gate {
  public:
    Gate(GateOptions options, CounterTable& counters, AuditLog& audit, Outbox& to_server, Outbox& to_client);

    void client_bytes(std::string_view bytes);
    void client_end();  // judges an unterminated last line
    void server_bytes(std::string_view bytes);
    void server_end();
    // Where the next bytes of either side are best read to; see LineFramer::lend_room().
    std::span<char> client_room() { return opening_.decided() ? client_framer_.lend_room() : std::span<char>(); }
    std::span<char> server_room() { return server_line_open_ ? std::span<char>() : server_framer_.lend_room(); }
    // For hand-back: everything still held for a line's end goes on as it is.
    void flush_unjudged();
    bool client_line_open() const { return !client_framer_.rest().empty() || opening_.holds_part(); }
    // Answers to the client that wait for the end of a line of the server.
    size_t answers_waiting_bytes() const { return answers_waiting_.size(); }
    // What the server was told by us in all: that it may not ask what it asked.
    uint64_t told_server_bytes() const { return told_server_bytes_; }

    // Governs from the next message on, and the calls that wait; what is in flight keeps what it was charged.
    void use_policy(std::shared_ptr<const Policy> policy, std::shared_ptr<const AuditSession> audit_session);
    // Calls that wait for room in a counter or for an approval. Others pass them; the client's end is not passed on before they
    // have.
    bool holds_calls() const { return !held_.empty(); }
    // Judges them for the last time, and lets no other one wait from now on: for hand-back.
    void end_waiting();
    // For an agent that goes on with this session; see gate_state.h. Everything it has was handed in and handed out.
    GateState save() const;
    // The same in parts, for who saves after each message. What save() has besides the figures, the lines that have begun and
    // the requests that wait for an answer has changed if slow_changes() has; notes of those requests are made from
    // note_changes() on, and are all that there is to know where take_notes() is true.
    GateFigures figures() const;
    uint64_t slow_changes() const { return slow_changes_; }
    size_t client_line_bytes() const { return client_framer_.rest().size(); }
    size_t server_line_bytes() const { return server_framer_.rest().size(); }
    void note_changes() { pending_.make_notes(); }
    bool take_notes(std::string& notes) { return pending_.take_notes(notes); }
    // Before the first byte, in a gate that has the session's policy. False where that cannot be the state of a gate. The calls
    // that wait stay aside until wait_again() has been called.
    bool restore(GateState state);
    // Their turn comes in the order of these calls: those that came first, of whatever session, first. See held_read_ns().
    void wait_again(size_t held);
    std::vector<int64_t> held_read_ns() const;
    // Their client or their server has gone: they reach nobody, and nobody gets an answer.
    void drop_held();
    // Set by the owner: a call that waited has gone on, or was answered. Output has been made outside of any call.
    std::function<void()> on_output;
    // … or it could not go on for want of memory.
    std::function<void()> on_no_memory;

    // Both sides are done with it: what is unanswered now stays so. Not so where the session goes on without the gate.
    void session_ended() { pending_.never_answered(); }
    // Memory has run out at any instant: what was being done is done as far as it has come, and the rest is refused. Only for
    // the end of the session: see drop_held().
    void give_up();

    // What grants.json says of its client now.
    const std::string& grant();
    const std::shared_ptr<const AuditSession>& audit_session() const { return options_.audit_session; }

    const FrameCounts& counts() const { return counts_; }
    // The server has confirmed that it speaks another protocol.
    bool wants_release() const { return wants_release_; }
    // Forwarded and not answered. What they were charged stays charged, also when the client cancels them or leaves, but
    // where the limit says otherwise: the server may have done them all the same.
    size_t pending_requests() const { return pending_.size(); }

  private:
    struct ClientLines : LineFramer::Handler {
        explicit ClientLines(Gate& owner) : gate(owner) {}
        bool line(std::string_view bytes) override {
            gate.client_line(bytes);
            return true;
        }
        void oversize(std::string_view head) override { gate.client_oversize(head); }
        void skipped(size_t) override {}
        Gate& gate;
    };
    struct ServerLines : LineFramer::Handler {
        explicit ServerLines(Gate& owner) : gate(owner) {}
        bool line(std::string_view bytes) override {
            gate.server_line(bytes);
            return true;
        }
        void oversize(std::string_view) override {}
        void skipped(size_t) override { ++gate.slow_changes_; }
        Gate& gate;
    };

    // One call that waits, with what its record needs. See gate_waiting.cpp.
    struct HeldCall : WaitingCall {
        explicit HeldCall(Gate& owner) : gate(owner) {}
        void turn(std::string_view key, int64_t now_ns) override;
        Gate& gate;
        std::string line, id_key;
        int64_t read_ns = 0;           // realtime
        int64_t arrived_ns = 0;        // monotonic, of the same moment
        int64_t kept_deadline_ns = 0;  // monotonic; of one that waited in another agent and has not had its turn here
    };
    using HeldCalls = std::list<std::unique_ptr<HeldCall>>;
    bool hold(std::string_view line, const Message& message, const Verdict& verdict);
    void try_again(HeldCall& call, std::string_view key, int64_t now_ns);
    std::unique_ptr<HeldCall> take_out(HeldCall& call);
    void drop(HeldCall& call, std::string_view rule, std::string_view reason);
    void cancel_held(const Message& notification);

    void client_line(std::string_view line);
    void client_oversize(std::string_view head);
    void client_message(std::string_view line, const Message& message);
    void remember_client(const Message& message);
    void follow_grant();
    void refuse(std::string_view line, const Message& message, Refusal refusal);
    void deny(const Message& message, const Verdict& verdict);
    void forward(std::string_view line, const Message& message, const Verdict& verdict, const RecordId& record);
    void wait_for_answer(const Message& message, const Verdict& verdict, const RecordId& record);
    RecordId log(MessageRecord record);
    RecordId write_record(const Message& message, size_t bytes, Decision decision, const Verdict* verdict);

    void server_line(std::string_view line);
    void server_refused(std::string_view line, const Message& refused);
    void withhold_server_rest(bool may_be_list);
    void deny_server(const Message& message, const Verdict& verdict, size_t bytes);
    void deny_response(const Message& response, std::string_view id_key, const Verdict& verdict, size_t bytes);
    void deny_list(const Message& refused, size_t bytes);
    MessageRecord server_record(const Message& message, size_t bytes, Decision decision, const Verdict* verdict) const;
    bool match_request(const Message& response, PendingRequest& request, MessageRecord& record);
    bool send_filtered(std::string_view line);
    void note_unreadable_list();
    CallJudge::Learning learning() { return {annotations_, pins_, audit_, options_.audit_session}; }
    static void send(LineFramer& framer, std::string_view line, Outbox& to);
    void pass_server_fragment();
    // Where answers to the client go: straight out, or aside while a line of the server is half sent.
    std::string& answers() {
        if (!server_line_open_) return to_client_.text();
        ++slow_changes_;
        return answers_waiting_;
    }
    void send_answers_waiting();

    GateOptions options_;
    AuditLog& audit_;
    Outbox& to_server_;
    Outbox& to_client_;
    Caller caller_;
    std::string client_name_, client_version_;  // as the client's initialize said
    ToolAnnotations annotations_;
    SessionPins pins_;
    CallerGrant grant_;
    CallJudge judge_;
    bool enforcing_;
    Opening opening_;
    MessageParser client_parser_, server_parser_;
    LineFramer client_framer_, server_framer_;
    ClientLines client_lines_{*this};
    ServerLines server_lines_{*this};
    PendingTable pending_;
    CounterTable& counters_;
    HeldCalls held_;
    size_t held_bytes_ = 0;
    bool may_wait_ = true;
    const Verdict* in_hand_ = nullptr;  // of a message that may have been charged, and waits for no answer yet
    MessageParser held_parser_;
    FrameCounts counts_;
    std::string judge_from_opening_;
    uint64_t slow_changes_ = 0;
    uint32_t records_ = 0;  // that were made; those that have led to something are in the ledger
    std::string answers_waiting_;
    uint64_t told_server_bytes_ = 0;
    std::string server_head_;        // the server's first line so far, while the client's stream is foreign
    size_t server_blanks_ = 0;       // the server's unfinished line begins with at least so many
    bool server_line_open_ = false;  // part of a line has been sent to the client
    bool server_spoke_ = false;
    bool client_ended_ = false;
    bool wants_release_ = false;
    bool modern_ = false;  // revision 2026-07-28 or later
    // When what is at work was read, in both clocks; when the message before it was done. A message waits until then.
    int64_t read_ns_ = 0, arrived_ns_ = 0, mark_ns_ = 0;
    int64_t queue_ns_ = 0, judge_ns_ = 0;
};

}  // namespace callgate
