// The server's direction: bytes into responses. What answers a judged request is looked into, the rest passes as it comes;
// either is followed to its end, for only there may the next request go out.
#include "enforce/http_gate_state.h"
#include "http/emit.h"
#include "http/media_type.h"

namespace callgate {
namespace {

bool is_event_stream(const Fields& fields) {
    const std::string_view value = fields.find(KnownField::content_type).value;
    constexpr std::string_view kEvents = "text/event-stream";
    return equal_ignoring_case(value.substr(0, kEvents.size()), kEvents);
}

bool is_json(const Fields& fields) {
    const auto type = parse_content_type(fields.find(KnownField::content_type).value);
    return type && type->is_json();
}

}  // namespace

// Takes some of the bytes and returns the others.
std::string_view HttpGate::State::take_server(std::string_view bytes) {
    HttpExchange& e = exchange;
    switch (passage) {
        case Passage::tunnel:
        case Passage::lines: take_tunnelled_server(bytes); return {};
        case Passage::blind: blind_held.append(bytes); return {};
        case Passage::http: break;
    }
    if (!e.in_hand || !e.sent) {
        unasked_bytes(bytes);
        return {};
    }
    switch (e.response) {
        case HttpExchange::Response::waiting: return take_response_head(bytes);
        case HttpExchange::Response::passing:
        case HttpExchange::Response::collecting:
        case HttpExchange::Response::events: return take_response_body(bytes);
        case HttpExchange::Response::untracked: to_client.append(bytes); return {};
        case HttpExchange::Response::complete: unasked_bytes(bytes); return {};
    }
    return {};
}

// A response nobody asked for would be taken for the answer to the next request.
void HttpGate::State::unasked_bytes(std::string_view bytes) {
    const bool server_speaks_first = first_message && !exchange.in_hand && waiting.empty() && bytes.front() != 'H';
    if (server_speaks_first && !options.http_only) {
        start_tunnel("the server speaks first");
        to_client.append(bytes);
        return;
    }
    // Node does so while a call waits for a human: it times the request out, of which nothing has come to it.
    server_ended = true;
    end_waiting();
    cut("the server sent what nobody asked for");
}

std::string_view HttpGate::State::take_response_head(std::string_view bytes) {
    HttpExchange& e = exchange;
    response_waiting.append(bytes);
    const HeadFramer::Found found = response_framer.scan(response_waiting);
    if (found == HeadFramer::Found::more) return {};
    const std::string input = std::exchange(response_waiting, {});
    if (found != HeadFramer::Found::complete) {
        const HttpRefusal refusal = response_framer.problem().refusal;
        response_framer.reset();
        bad_response(name(refusal), input);
        return {};
    }
    const std::string_view rest = bytes.substr(bytes.size() - (input.size() - response_framer.end()));
    e.answer_bytes.assign(input, response_framer.begin(), response_framer.end() - response_framer.begin());
    response_framer.reset();
    const HttpProblem problem = e.answer.parse(e.answer_bytes, e.head.method);
    if (!problem.ok()) {
        bad_response(name(problem.refusal), e.answer_bytes);
    } else if (e.answer.is_interim()) {
        // One that we sent ourselves, or that was not asked for, is not passed on.
        const bool is_ours = e.answer.status == 100 && (e.continue_sent || e.canonical);
        if (!is_ours && e.head.minor_version > 0) to_client.append(e.answer_bytes);
    } else if (e.answer.framing.kind == BodyFraming::Kind::tunnel) {
        upgrade();
    } else {
        response_begun();
    }
    return rest;
}

void HttpGate::State::response_begun() {
    HttpExchange& e = exchange;
    const Fields& fields = e.answer.fields;
    if (e.canonical) session_of_response();
    e.answer_body = BodyReader(e.answer.framing, BodyReader::Extensions::skip);
    const bool has_events = is_event_stream(fields) && e.governed;
    const bool is_encoded = content_coding(fields) != ContentCoding::identity;
    if (e.answer_body.done() || !(has_events || e.has_messages)) {
        e.response = HttpExchange::Response::passing;
    } else if (is_encoded) {
        if (e.session) e.session->pending.maybe_answered();
        // It was asked to send it as it is. A list in there could not be filtered, nor be seen where messages go.
        const bool hides_list = must_filter() && (has_events || is_json(fields));
        const bool hides_target = judge.enforcing() && has_events && !policy_path.empty();
        if (hides_list || hides_target) return answer_bad_gateway("it is compressed");
        e.response = HttpExchange::Response::passing;
    } else {
        e.response = has_events ? HttpExchange::Response::events : HttpExchange::Response::collecting;
    }
    if (e.response == HttpExchange::Response::events) begin_events();
    if (e.response == HttpExchange::Response::passing) {
        to_client.append(e.answer_bytes);
        e.answer_begun = true;
    }
    if (e.answer_body.done()) response_complete();
}

std::string_view HttpGate::State::take_response_body(std::string_view bytes) {
    HttpExchange& e = exchange;
    const BodyReader::Piece piece = e.answer_body.next(bytes);
    const std::string_view raw = bytes.substr(0, piece.raw_bytes);
    switch (e.response) {
        case HttpExchange::Response::passing: to_client.append(raw); break;
        case HttpExchange::Response::collecting:
            e.answer_raw.append(raw);
            if (e.answer.framing.kind == BodyFraming::Kind::chunked) e.answer_text.append(piece.payload);
            if (e.answer_raw.size() > options.frame_bytes_max) response_too_long();
            break;
        case HttpExchange::Response::events: events(piece.payload); break;
        case HttpExchange::Response::waiting:
        case HttpExchange::Response::untracked:
        case HttpExchange::Response::complete: break;
    }
    if (!e.in_hand || closing) return {};
    if (piece.step == BodyReader::Step::refused) {
        bad_response(name(e.answer_body.problem().refusal), {});
    } else if (e.answer_body.done()) {
        response_body_complete();
    }
    return bytes.substr(raw.size());
}

void HttpGate::State::response_body_complete() {
    if (exchange.response == HttpExchange::Response::collecting) deliver_json();
    if (exchange.response == HttpExchange::Response::events) finish_events();
    response_complete();
}

// Not to be held any longer: what may be a list is refused, the rest passes unread.
void HttpGate::State::response_too_long() {
    HttpExchange& e = exchange;
    if (e.session) e.session->pending.maybe_answered();
    if (must_filter()) return answer_bad_gateway("it is longer than a message may be");
    to_client.append(e.answer_bytes).append(e.answer_raw);
    e.forget_bodies();
    e.response = HttpExchange::Response::passing;
    e.answer_begun = true;
}

void HttpGate::State::response_complete() {
    HttpExchange& e = exchange;
    e.response = HttpExchange::Response::complete;
    // A redirected call comes again.
    if (e.answer.status >= 300) forget_unanswered(Unanswered::failed);
    const bool keeps = e.answer.keep_alive && e.head.keep_alive && e.answer.framing.kind != BodyFraming::Kind::until_close;
    if (!keeps) close();
    if (!keeps || e.request == HttpExchange::Request::complete) finish_exchange();
}

// 101, or 2xx to a CONNECT.
void HttpGate::State::upgrade() {
    HttpExchange& e = exchange;
    if (e.head.is("CONNECT")) {
        // There are servers that answer 200 to any method and read on: what comes then is no tunnel to them. A body, which
        // nothing of a tunnel has, gives them away, or what they send next.
        const bool has_body =
            e.answer.fields.has(KnownField::content_length) || e.answer.fields.has(KnownField::transfer_encoding);
        if (has_body && judge.enforcing()) return answer_bad_gateway("it took CONNECT for a request like any other");
        to_client.append(e.answer_bytes);
        return start_watched_tunnel("CONNECT");
    }
    const std::string_view protocol = e.head.upgrade();
    if (e.canonical || protocol.empty()) return bad_response("it changes to a protocol that nobody asked for", e.answer_bytes);
    if (equal_ignoring_case(protocol, "websocket")) {
        to_client.append(e.answer_bytes);
        return start_tunnel("WebSocket");
    }
    blind_held = e.answer_bytes;
    become_blind("upgrade to another protocol than WebSocket");
}

// `held`: what has come of it and was not passed on.
void HttpGate::State::bad_response(std::string_view why, std::string_view held) {
    HttpExchange& e = exchange;
    const bool is_looked_into = e.canonical || e.response == HttpExchange::Response::events;
    if (!is_looked_into) {
        // Not ours to judge. Nobody knows where it ends, so it is the last on this connection.
        to_client.append(held);
        e.answer_begun = true;
        e.response = HttpExchange::Response::untracked;
        return;
    }
    if (e.answer_begun) return close();
    answer_bad_gateway(why);
}

void HttpGate::State::server_ended_in_exchange() {
    HttpExchange& e = exchange;
    switch (e.response) {
        case HttpExchange::Response::waiting: {
            const bool has_begun = !std::exchange(response_waiting, {}).empty();
            // A server may close a connection that is idle just when the next request is on its way. The client knows what
            // to do then; an error of ours it would take for an answer.
            if (!has_begun && passed > 1) return close();
            return answer_bad_gateway("it closed the connection");
        }
        case HttpExchange::Response::collecting:
            if (!e.answer_body.finish()) return answer_bad_gateway("it closed the connection before the end");
            return response_body_complete();
        case HttpExchange::Response::passing:
        case HttpExchange::Response::events:
            if (e.answer_body.finish()) response_body_complete();
            break;
        case HttpExchange::Response::untracked:
        case HttpExchange::Response::complete: break;
    }
}

}  // namespace callgate
