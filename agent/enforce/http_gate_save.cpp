// What an HTTP gate leaves to the gate of another agent, and how that one begins with it.
#include <algorithm>

#include "base/clock.h"
#include "enforce/http_gate_state.h"
#include "enforce/http_saved.h"

namespace callgate {
namespace {

bool has_answer_head(HttpExchange::Response response) {
    return response == HttpExchange::Response::passing || response == HttpExchange::Response::collecting ||
           response == HttpExchange::Response::events;
}

}  // namespace

SavedHttpExchange HttpGate::State::save_exchange() const {
    const HttpExchange& e = exchange;
    SavedHttpExchange saved;
    saved.number = e.number;
    saved.request = static_cast<uint8_t>(e.request);
    saved.response = static_cast<uint8_t>(e.response);
    saved.head = e.head_bytes;
    saved.body = e.body.save();
    saved.hidden_request = e.hidden_request.save();
    saved.raw = e.raw;
    saved.text = e.text;
    saved.governed = e.governed;
    saved.claims_mcp = e.claims_mcp;
    saved.continue_sent = e.continue_sent;
    saved.body_decoded = e.body_decoded;
    saved.refuse_status = e.refuse_status;
    saved.refuse_reason = e.refuse_reason;
    saved.sent = e.sent;
    saved.canonical = e.canonical;
    saved.has_messages = e.has_messages;
    saved.opens_session = e.opens_session;
    saved.session_end = e.session_end;
    if (e.session) saved.session = e.session->id;
    saved.waiting_ids = e.waiting_ids;
    saved.is_array = body.is_array;
    if (has_answer_head(e.response)) {
        saved.answer_head = e.answer_bytes;
        saved.answer_keeps_alive = e.answer.keep_alive;
        saved.answer_body = e.answer_body.save();
    }
    saved.answer_raw = e.answer_raw;
    saved.answer_text = e.answer_text;
    saved.answer_begun = e.answer_begun;
    saved.chunks_out = e.chunks_out;
    saved.is_resumable = e.is_resumable;
    return saved;
}

bool HttpGate::State::restore_exchange(SavedHttpExchange saved) {
    HttpExchange& e = exchange;
    const bool is_one = saved.request <= static_cast<uint8_t>(HttpExchange::Request::complete) &&
                        saved.response <= static_cast<uint8_t>(HttpExchange::Response::complete);
    if (!is_one) return false;
    e.begin(saved.number);
    e.request = static_cast<HttpExchange::Request>(saved.request);
    e.response = static_cast<HttpExchange::Response>(saved.response);
    e.head_bytes = std::move(saved.head);
    if (!e.head.parse(e.head_bytes).ok() || !e.body.restore(saved.body) || !e.hidden_request.restore(saved.hidden_request))
        return false;
    e.raw = std::move(saved.raw);
    e.text = std::move(saved.text);
    e.governed = saved.governed;
    e.claims_mcp = saved.claims_mcp;
    e.continue_sent = saved.continue_sent;
    e.body_decoded = saved.body_decoded;
    e.refuse_status = saved.refuse_status;
    e.refuse_reason = std::move(saved.refuse_reason);
    e.sent = saved.sent;
    e.canonical = saved.canonical;
    e.has_messages = saved.has_messages;
    e.opens_session = saved.opens_session;
    e.session_end = std::move(saved.session_end);
    if (!saved.session.empty()) {
        HttpSessions::Pointer session = sessions.restored(saved.session);
        if (!session) return false;
        set_session(std::move(session));
    }
    if ((!saved.waiting_ids.empty() || e.opens_session) && !e.session) return false;
    e.waiting_ids = std::move(saved.waiting_ids);
    body.is_array = saved.is_array;
    if (has_answer_head(e.response)) {
        e.answer_bytes = std::move(saved.answer_head);
        if (!e.answer.parse(e.answer_bytes, e.head.method).ok() || !e.answer_body.restore(saved.answer_body)) return false;
        e.answer.keep_alive = saved.answer_keeps_alive;
    }
    e.answer_raw = std::move(saved.answer_raw);
    e.answer_text = std::move(saved.answer_text);
    e.answer_begun = saved.answer_begun;
    e.chunks_out = saved.chunks_out;
    e.is_resumable = saved.is_resumable;
    return true;
}

SavedHttpGate HttpGate::leave() {
    State& s = *state_;
    SavedHttpGate saved;
    saved.counts = s.counts;
    saved.passed = s.passed;
    saved.closing = s.closing;
    saved.client_ended = s.client_ended;
    saved.server_ended = s.server_ended;
    saved.server_wanted = s.server_wanted;
    saved.first_message = s.first_message;
    saved.waiting = s.waiting;
    saved.response_waiting = s.response_waiting;
    if (s.exchange.in_hand) saved.exchange = s.save_exchange();
    if (s.is_held) saved.wait = SavedHttpWait{s.held_deadline_ns, s.held_read_ns};
    saved.streams_session = s.exchange.in_hand && s.exchange.session && s.exchange.session->stream == this;
    saved.sse = s.sse.save();
    saved.inside_event = s.inside_event;
    saved.events_waiting = s.events_waiting;
    saved.passage = static_cast<uint8_t>(s.passage);
    saved.passage_reason = s.passage_reason;
    saved.blind_held = s.blind_held;
    saved.tunnel_head = s.tunnel_head;
    saved.tunnel_is_watched = s.tunnel_is_watched;
    saved.tunnel_line_begins = s.tunnel_line_begins;
    saved.tunnel_request = s.tunnel_request.save();
    saved.tunnel_version_bytes = s.tunnel_version_bytes;
    if (s.lines) saved.lines = SavedHttpLines{s.lines->gate.save(), s.lines_session->id, s.counts_before_lines};
    s.leave();
    return saved;
}

// Nothing of it ends here.
void HttpGate::State::leave() {
    leave_line();
    if (exchange.session) {
        if (exchange.session->stream == &gate) exchange.session->stream = nullptr;
        --exchange.session->exchanges;
    }
    exchange.session = nullptr;
    exchange.in_hand = false;
    if (lines) {
        lines_session->stream = nullptr;
        --lines_session->exchanges;
    }
    lines.reset();
    lines_session = nullptr;
    closing = true;
}

bool HttpGate::restore(SavedHttpGate saved) {
    State& s = *state_;
    const bool restored = s.restore(std::move(saved));
    if (!restored) s.leave();
    return restored;
}

bool HttpGate::State::restore(SavedHttpGate saved) {
    if (saved.passage > static_cast<uint8_t>(Passage::lines)) return false;
    counts = saved.counts;
    passed = saved.passed;
    closing = saved.closing;
    client_ended = saved.client_ended;
    server_ended = saved.server_ended;
    server_wanted = saved.server_wanted;
    first_message = saved.first_message;
    waiting = std::move(saved.waiting);
    response_waiting = std::move(saved.response_waiting);
    passage = static_cast<Passage>(saved.passage);
    passage_reason = std::move(saved.passage_reason);
    blind_held = std::move(saved.blind_held);
    tunnel_head = std::move(saved.tunnel_head);
    tunnel_is_watched = saved.tunnel_is_watched;
    tunnel_line_begins = saved.tunnel_line_begins;
    tunnel_version_bytes = static_cast<size_t>(saved.tunnel_version_bytes);
    inside_event = saved.inside_event;
    events_waiting = std::move(saved.events_waiting);
    if (!tunnel_request.restore(saved.tunnel_request) || !sse.restore(std::move(saved.sse))) return false;
    if (saved.exchange && !restore_exchange(std::move(*saved.exchange))) return false;
    if (saved.streams_session) {
        if (!exchange.session) return false;
        exchange.session->stream = &gate;
    }
    if (saved.wait && !restore_wait(*saved.wait)) return false;
    if ((passage == Passage::lines) != saved.lines.has_value()) return false;
    if (saved.lines && !restore_lines(std::move(*saved.lines))) return false;
    // How far a head is that has begun is found out again, and nothing new comes of it.
    if (passage == Passage::http && !exchange.in_hand && !closing && !waiting.empty()) take_client_and_keep_rest({});
    return true;
}

bool HttpGate::State::restore_wait(const SavedHttpWait& saved) {
    if (!exchange.in_hand || !exchange.session) return false;
    const std::string_view text = exchange.content();
    read_http_body(text, true, judge.policy(), parser, body);  // it was found to be MCP by whatever policy there was
    if (body.messages.empty()) return false;
    is_held = true;
    held_size = text.size();
    held_deadline_ns = saved.deadline_ns;
    held_read_ns = saved.read_ns;
    held_arrived_ns = monotonic_ns() - std::max<int64_t>(realtime_ns() - saved.read_ns, 0);
    exchange.session->held.push_back(&gate);
    exchange.session->held_bytes += held_size;
    return true;
}

bool HttpGate::State::restore_lines(SavedHttpLines saved) {
    lines_session = sessions.restored(saved.session);
    if (!lines_session) return false;
    counts_before_lines = saved.counts_before;
    begin_lines();
    return lines->gate.restore(std::move(saved.gate));
}

std::vector<int64_t> HttpGate::held_read_ns() const {
    const State& s = *state_;
    if (s.lines) return s.lines->gate.held_read_ns();
    if (s.is_held) return {s.held_read_ns};
    return {};
}

void HttpGate::wait_again(size_t held) {
    State& s = *state_;
    if (s.lines) return s.lines->gate.wait_again(held);
    s.judge.counters().waiting().wait(kLineOfBefore, s.held_body, 0, s.held_deadline_ns);
}

}  // namespace callgate
