// The connection: what it carries, and when it is over.
#include "enforce/http_gate.h"

#include "base/clock.h"
#include "enforce/http_gate_state.h"

namespace callgate {
namespace {

// Calls whose answers may still be fetched over another connection, in one session; those of more streams are forgotten.
constexpr size_t kResumableMax = 1024;

std::string restricting_path(const Policy& policy) {
    const std::string path = loosest_path(policy.match().path);
    return path == "/" ? std::string() : path;
}

}  // namespace

HttpGate::State::State(HttpGate& owner, HttpGateOptions given, HttpSessions& table, CounterTable& limits, AuditLog& log,
                       std::string& server_out, std::string& client_out)
    : gate(owner),
      options(std::move(given)),
      facts(std::make_shared<const HttpFacts>(std::move(options.facts))),
      sessions(table),
      counters(limits),
      audit(log),
      to_server(server_out),
      to_client(client_out),
      grant(sessions.grants(), facts->grant, facts->peer),
      judge(options.policy, limits, options.approvals),
      policy_path(restricting_path(*options.policy)),
      sse(options.frame_bytes_max) {}

HttpGate::HttpGate(HttpGateOptions options, HttpSessions& sessions, CounterTable& counters, AuditLog& audit,
                   std::string& to_server, std::string& to_client)
    : state_(std::make_unique<State>(*this, std::move(options), sessions, counters, audit, to_server, to_client)) {}

HttpGate::~HttpGate() { end(); }

void HttpGate::end() {
    state_->finish_exchange();
    state_->end_lines("its connection ended");
}

void HttpGate::client_bytes(std::string_view bytes) {
    State& s = *state_;
    s.counts.client_bytes += bytes.size();
    s.note_arrival();
    if (s.closing) return;
    s.take_client_and_keep_rest(bytes);
}

void HttpGate::client_end() {
    State& s = *state_;
    s.client_ended = true;
    s.note_arrival();
    if (s.lines) {
        s.lines->gate.client_end();
        return s.move_lines();
    }
    // Perhaps it has gone, perhaps it only says nothing more: it is answered now.
    s.end_waiting();
    s.client_end_in_request();
}

void HttpGate::server_bytes(std::string_view bytes) {
    State& s = *state_;
    s.counts.server_bytes += bytes.size();
    s.note_arrival();
    while (!bytes.empty() && !s.closing) bytes = s.take_server(bytes);
    s.resume_client();
}

void HttpGate::server_end() {
    State& s = *state_;
    s.server_ended = true;
    s.note_arrival();
    if (s.closing) return;
    s.end_waiting();
    if (s.lines) {
        s.lines->gate.server_end();
        s.move_lines();
    }
    if (s.passage == State::Passage::http && s.exchange.in_hand && s.exchange.sent) s.server_ended_in_exchange();
    s.to_client.append(std::exchange(s.tunnel_head, {}));
    // In a tunnel it may still listen, and is still not to be sent what is no part of it.
    if (s.passage != State::Passage::tunnel) s.close();
}

void HttpGate::server_failed() {
    State& s = *state_;
    if (s.closing) return;
    s.end_waiting();
    if (s.exchange.in_hand && s.exchange.sent) {
        s.forget_unanswered(State::Unanswered::not_made);
        s.answer_bad_gateway("the server cannot be reached");
    }
    s.close();
}

void HttpGate::give_up() {
    if (state_->lines) state_->lines->gate.give_up();
}

bool HttpGate::wants_client() const {
    const State& s = *state_;
    if (s.closing || s.passage == State::Passage::blind) return false;
    if (s.to_server.size() >= kOutputBytesHigh || s.to_client.size() >= kOutputBytesHigh) return false;
    if (s.lines && s.lines->gate.answers_waiting_bytes() >= kOutputBytesHigh) return false;
    const bool must_wait = s.exchange.in_hand && s.exchange.request == HttpExchange::Request::complete;
    return !must_wait || s.waiting.size() < kReadBytes;
}

bool HttpGate::wants_server() const { return state_->server_wanted; }
uint64_t HttpGate::told_server_bytes() const { return state_->lines ? state_->lines->gate.told_server_bytes() : 0; }
bool HttpGate::close_client() const { return state_->closing; }

bool HttpGate::ends_server() const {
    const State& s = *state_;
    if (!s.client_ended || !s.server_wanted || s.passage == State::Passage::blind) return false;
    if (s.lines) return !s.lines->gate.holds_calls();
    if (s.passage == State::Passage::tunnel || !s.exchange.in_hand) return s.waiting.empty();
    const bool is_held =
        s.exchange.request != HttpExchange::Request::complete && s.exchange.request != HttpExchange::Request::passing;
    return s.waiting.empty() && !is_held;
}

bool HttpGate::is_quiet() const {
    const State& s = *state_;
    if (s.lines) return s.closing || s.lines->is_quiet();
    return s.closing || (s.passage == State::Passage::http && !s.exchange.in_hand && s.waiting.empty());
}

std::string_view HttpGate::blind_reason() const {
    return state_->passage == State::Passage::blind ? state_->passage_reason : std::string_view();
}

std::string_view HttpGate::tunnel_reason() const {
    return state_->passage == State::Passage::tunnel ? state_->passage_reason : std::string_view();
}

void HttpGate::pass_blind() {
    State& s = *state_;
    if (s.passage != State::Passage::blind) return;
    // Where the server has spoken already, it knows what this is.
    if (s.blind_held.empty()) return s.open_watched_blind_tunnel();
    s.to_client.append(std::exchange(s.blind_held, {}));
    s.open_tunnel(s.passage_reason);
}

void HttpGate::use_policy(std::shared_ptr<const Policy> policy) {
    State& s = *state_;
    s.options.policy = std::move(policy);
    s.judge.use(s.options.policy);
    s.policy_path = restricting_path(*s.options.policy);
    s.audit_session.reset();
    if (s.lines) s.use_policy_for_lines();
}

const Policy& HttpGate::policy() const { return *state_->options.policy; }
const HttpFacts& HttpGate::facts() const { return *state_->facts; }
HttpSessions::Pointer HttpGate::session() const { return state_->exchange.session; }
bool HttpGate::http_only() const { return state_->options.http_only; }

const FrameCounts& HttpGate::counts() const { return state_->counts; }
uint64_t HttpGate::requests_passed() const { return state_->passed; }
bool HttpGate::send_event(std::string_view json) { return state_->send_event(json); }

void HttpGate::close_stream() {
    state_->cut("its session was given up");
    if (on_output) on_output();
}

void HttpGate::State::take_client_and_keep_rest(std::string_view bytes) {
    if (waiting.empty()) {
        waiting.assign(bytes.substr(take_client(bytes)));
        return;
    }
    std::string input = std::exchange(waiting, {});
    input.append(bytes);
    input.erase(0, take_client(input));
    waiting = std::move(input);
}

void HttpGate::State::resume_client() {
    if (closing || exchange.in_hand) return;
    if (passage == Passage::http && server_ended) return;
    if (!waiting.empty()) take_client_and_keep_rest({});
    if (client_ended) client_end_in_request();
}

void HttpGate::State::finish_exchange() {
    if (!exchange.in_hand) return;
    if (is_held) gate.drop_held();
    exchange.in_hand = false;
    const bool may_come_elsewhere =
        exchange.session && (exchange.session->kind == HttpSessionKind::stream ||
                             (exchange.is_resumable && exchange.session->pending.size() < kResumableMax));
    if (may_come_elsewhere) {
        exchange.waiting_ids.clear();
    } else {
        forget_unanswered(exchange.is_resumable ? Unanswered::perhaps : Unanswered::for_good);
    }
    if (exchange.opens_session) exchange.session_end = "its initialize had no answer";
    if (!exchange.session_end.empty()) sessions.end(exchange.session, exchange.session_end);
    const HttpSessions::Pointer session = exchange.session;
    set_session(nullptr);
    if (session && session->stream == &gate) sessions.end(session, "its stream ended");
    exchange.forget_bodies();
}

}  // namespace callgate
