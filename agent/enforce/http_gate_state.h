// HttpGate::State: what the parts of the HTTP gate share. One function belongs to one file:
//   http_gate.cpp      the connection: what it carries, when it ends
//   http_request.cpp   bytes of the client into requests; what of them is held, passed, refused
//   http_tunnel.cpp    what is not HTTP
//   http_lines.cpp     … but messages on lines
//   http_judge.cpp     one complete body: session, verdicts, the canonical request or our answer
//   http_waiting.cpp   a body that waits for room in a limit, or for a decision
//   http_answer.cpp    the bytes of our answers
//   http_response.cpp  bytes of the server into responses
//   http_gate_save.cpp what it leaves to another agent
//   http_messages.cpp  JSON-RPC in responses: answers matched, hidden tools cut, the event that opens a session
#pragma once
#include <string>
#include <string_view>

#include "base/clock.h"
#include "enforce/call_judge.h"
#include "enforce/gate.h"
#include "enforce/http_body.h"
#include "enforce/http_exchange.h"
#include "enforce/http_gate.h"
#include "enforce/http_saved.h"
#include "http/head_framer.h"
#include "http/sse_reader.h"

namespace callgate {

struct HttpGate::State {
    State(HttpGate& owner, HttpGateOptions given, HttpSessions& table, CounterTable& limits, AuditLog& log,
          std::string& server_out, std::string& client_out);

    // --- the connection
    void take_client_and_keep_rest(std::string_view bytes);
    void resume_client();  // requests that waited behind the one that is answered now
    void close() { closing = true; }
    void finish_exchange();
    // --- what is not HTTP
    enum class Opening : uint8_t { undecided, request, other_protocol };
    static Opening opening_of(std::string_view read);
    void start_tunnel(std::string_view reason);
    void pass_other_protocol(std::string_view reason, std::string_view read);
    void start_watched_tunnel(std::string_view reason);
    void open_tunnel(std::string_view reason);
    void open_watched_blind_tunnel();
    void become_blind(std::string_view reason);
    size_t watched_length(std::string_view bytes);
    void take_tunnelled_client(std::string_view bytes);
    void take_tunnelled_server(std::string_view bytes);
    void cut(std::string_view reason);
    void write_event(std::string_view type, std::vector<std::pair<std::string, std::string>> members, std::string_view reason);

    // --- for another agent
    SavedHttpExchange save_exchange() const;
    void leave();
    bool restore(SavedHttpGate saved);
    bool restore_exchange(SavedHttpExchange saved);
    bool restore_wait(const SavedHttpWait& saved);
    bool restore_lines(SavedHttpLines saved);

    // --- messages on lines
    static bool begins_message(std::string_view bytes);
    void open_lines();
    void begin_lines();
    void take_client_lines(std::string_view bytes);
    void take_server_lines(std::string_view bytes);
    void release_lines();
    void move_lines();
    void end_lines(std::string_view reason);
    void use_policy_for_lines();

    // --- the client's direction: each takes what it can and says how much
    size_t take_client(std::string_view bytes);
    size_t take_head(std::string_view bytes);
    size_t take_body(std::string_view bytes);
    void request_begun();
    bool may_get_events(const RequestHead& head) const;
    void hold_body();
    void ask_for_body();
    Guess guess_hidden_request() const;
    bool may_be_taken_for_requests() const;
    void decide_body();
    void body_complete();
    bool is_over_limit();
    void pass_request();  // as it came
    void pass_body(std::string_view raw);
    void forward_without_body();  // canonical
    void client_end_in_request();
    // What two readers could read differently, or nobody here can read.
    void refuse_head(const HttpProblem& problem, std::string_view read);
    bool may_be_another_protocol(const HttpProblem& problem, std::string_view read) const;
    void refuse_body(const HttpProblem& problem);
    void refuse_request(int status, std::string_view reason);

    // --- judging
    struct Outcome {
        Verdict verdict;
        std::string reason;             // what verdict.reason points to
        std::string_view disagreement;  // of fields and body
        bool is_malformed = false;
        std::string delay_key;  // … what verdict.delay_key points to
    };
    void judge_body(std::string_view text);
    const Message& message_of(size_t i);
    bool judge_message(const Message& message, size_t i);
    bool use_approvals();
    Caller caller_of(const Message& message);
    void choose_session(const Message& first);
    void set_session(HttpSessions::Pointer session);
    void forward_messages(std::string_view text);
    void answer_messages();
    void refuse_array(std::string_view text);
    void count_refusal();
    void record_refusal(int status, std::string_view reason, size_t bytes);
    RecordId write_record(const Message& message, size_t bytes, Decision decision, const Verdict* verdict);
    const std::shared_ptr<const AuditSession>& audit_session_of(const HttpSession* session);
    template <typename Add>
    void count(const Add& add) {
        add(counts);
        if (exchange.session) add(exchange.session->counts);
    }

    // --- waiting
    struct HeldBody : WaitingCall {
        explicit HeldBody(State& owner) : state(owner) {}
        void turn(std::string_view key, int64_t now_ns) override { state.try_again(key, now_ns); }
        State& state;
    };
    bool hold_judged_body(std::string_view text);
    void try_again(std::string_view key, int64_t now_ns);
    void end_waiting();
    void drop_held(std::string_view rule, std::string_view reason);
    bool cancel_held(std::string_view id_key);
    void cancel_elsewhere(const Message& notification);
    void leave_line();

    // --- our answers
    void answer(int status, std::string_view content_type, std::string_view content);
    void answer_json(int status, const std::vector<std::string>& answers, bool as_array);
    void answer_accepted();
    void answer_refusal(int status, std::string_view reason);
    void answer_bad_gateway(std::string_view why);
    bool send_on_stream(const std::vector<std::string>& answers);
    bool send_event(std::string_view json);
    bool send_events(std::string_view bytes);

    // --- the server's direction
    std::string_view take_server(std::string_view bytes);
    std::string_view take_response_head(std::string_view bytes);
    std::string_view take_response_body(std::string_view bytes);
    void unasked_bytes(std::string_view bytes);
    void response_begun();
    void response_body_complete();
    void response_too_long();
    void response_complete();
    void upgrade();
    void bad_response(std::string_view why, std::string_view held);
    void server_ended_in_exchange();
    bool must_filter() const {
        const Policy& policy = *options.policy;
        return judge.enforcing() && (policy.hides_any() || policy.says_anything_of_methods() || policy.pins_any());
    }

    // --- messages of the server
    void session_of_response();
    void deliver_json();
    // True where `changed` is to be sent instead of `json`.
    bool examine(std::string_view json, std::string& changed);
    bool examine_message(std::string_view json, std::string& changed);
    bool examine_refused(std::string_view json, const Message& refused, std::string& changed);
    void append_denial_of(std::string& out, const Message& message, std::string_view answered_key, const PendingRequest& request,
                          const Verdict& verdict);
    bool match(const Message& response, std::string_view id_key, PendingRequest& request, MessageRecord& record);
    bool is_modern() const;  // by the exchange's head
    CallJudge::Learning learning() {
        return {exchange.session->annotations, exchange.session->pins, audit, audit_session_of(exchange.session.get())};
    }
    // What the server did not get; refused in HTTP; was not, or will not be, answered; may be answered where we do not see it.
    enum class Unanswered : uint8_t { not_made, failed, for_good, perhaps };
    void forget_unanswered(Unanswered how);
    void begin_events();
    void events(std::string_view payload);
    void finish_events();
    void finish_last_event();
    void emit_events(std::string_view bytes);
    void endpoint_event(std::string_view reference);

    struct EventHandler final : SseReader::Handler {
        explicit EventHandler(State& owner) : state(owner) {}
        void event(const SseEvent& event) override;
        void other(std::string_view raw) override;
        void oversize(std::string_view piece) override;
        void oversize_end() override;
        State& state;
        bool at_end = false;    // of the stream: an event that was never ended is looked at all the same
        bool replaced = false;  // … and was not passed as it came
    };

    HttpGate& gate;
    HttpGateOptions options;
    HttpSessions::Facts facts;
    HttpSessions& sessions;
    CounterTable& counters;
    AuditLog& audit;
    std::string& to_server;
    std::string& to_client;
    CallerGrant grant;  // of the client, for the message that is looked at
    CallJudge judge;
    std::string policy_path;  // "" where every path is governed

    enum class Passage : uint8_t { http, tunnel, blind, lines };
    Passage passage = Passage::http;
    std::string passage_reason;
    std::string blind_held;          // of the server, while it is blind
    bool tunnel_is_watched = false;  // until the server has said something: it must not be HTTP
    RequestLineFinder tunnel_request{RequestLineFinder::Until::target};
    size_t tunnel_version_bytes = 0;  // of " HTTP/" at the end of what the client has sent
    std::string tunnel_head;          // the server's first bytes, until it is known what they are
    bool tunnel_line_begins = false;  // the client's last byte ended a line
    struct Lines {
        Lines(GateOptions options, CounterTable& counters, AuditLog& audit)
            : gate(std::move(options), counters, audit, to_server, to_client) {}
        bool is_quiet() const { return !gate.holds_calls() && !gate.pending_requests() && !gate.client_line_open(); }
        Outbox to_server, to_client;
        Gate gate;
    };
    std::unique_ptr<Lines> lines;  // of Passage::lines
    HttpSessions::Pointer lines_session;
    FrameCounts counts_before_lines;
    bool closing = false;
    bool client_ended = false, server_ended = false;
    bool server_wanted = false;
    bool first_message = true;  // no request of this connection has been read yet

    std::string waiting;  // the client's bytes that nothing has taken yet
    HeadFramer request_framer{HeadFramer::Side::request}, response_framer{HeadFramer::Side::response};
    HttpExchange exchange;
    std::string response_waiting;  // the server's bytes of a head that is not complete
    SseReader sse;
    EventHandler event_handler{*this};
    bool inside_event = false;   // of the server, too long to be held: part of it has been sent
    std::string events_waiting;  // of ours, for its end

    MessageParser parser, server_parser;
    HttpBody body;
    std::vector<Outcome> outcomes;
    HeldBody held_body{*this};
    std::string_view turn;  // while a body that waited is judged again
    bool is_held = false, may_wait = true;
    size_t held_size = 0;
    int64_t held_deadline_ns = 0;  // monotonic
    int64_t held_read_ns = 0;      // realtime
    int64_t held_arrived_ns = 0;   // monotonic
    FrameCounts counts;
    uint64_t passed = 0;
    std::string audit_id;  // session that audit_session describes, as it is used over this connection
    std::shared_ptr<const AuditSession> audit_session;
    int64_t read_ns = 0, arrived_ns = 0;  // realtime, and monotonic of the same moment
    int64_t queue_ns = 0, judge_ns = 0;
    void note_arrival() {
        read_ns = realtime_ns();
        arrived_ns = monotonic_ns();
    }
};

}  // namespace callgate
