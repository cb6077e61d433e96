// The client's direction: bytes into requests, and what of them is held, passed on, refused.
#include <algorithm>

#include "enforce/http_gate_state.h"
#include "enforce/http_target.h"
#include "enforce/mcp_fields.h"
#include "http/emit.h"
#include "http/inflate.h"
#include "http/media_type.h"
#include "http/target_path.h"

namespace callgate {
namespace {

constexpr std::string_view kNotHttp = "not HTTP";
constexpr std::string_view kHiddenRequest = "a body that begins like a request";
constexpr std::string_view kRequestInBody = "a body with a request in it";
// White space before JSON; after more of it the body is taken for JSON unseen.
constexpr size_t kWhiteSpaceBytes = 1024;

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return out;
}

bool asks_for_events(const RequestHead& head) {
    const auto& fields = head.fields.all();
    return std::any_of(fields.begin(), fields.end(), [](const Field& field) {
        return field.known == KnownField::accept && lower(field.value).find("text/event-stream") != std::string::npos;
    });
}

// Its method says that it has a body.
bool is_upload(const RequestHead& head) { return head.is("POST") || head.is("PUT") || head.is("PATCH"); }

bool is_json_type(const Fields& fields) {
    const auto type = parse_content_type(fields.find(KnownField::content_type).value);
    return type && type->is_json();
}

bool may_be_other_charset(const Fields& fields) {
    const std::string_view value = fields.find(KnownField::content_type).value;
    const auto type = parse_content_type(value);
    return type ? !type->is_utf8() : lower(value).find("charset") != std::string::npos;
}

// What is no JSON in ASCII may be some in another charset.
bool may_hide_json(const Fields& fields) {
    const auto type = parse_content_type(fields.find(KnownField::content_type).value);
    return type ? !type->is_ascii_superset() : may_be_other_charset(fields);
}

// Upgrade to anything but a WebSocket, which is reported: after it the server might take messages that nobody can read.
bool asks_for_other_protocol(const Fields& fields) {
    const auto& all = fields.all();
    return std::any_of(all.begin(), all.end(), [](const Field& field) {
        return field.known == KnownField::upgrade && !equal_ignoring_case(field.value, "websocket");
    });
}

// The head as it came, but that it asks for no other protocol.
void append_without_upgrade(std::string& out, std::string_view head_bytes, const RequestHead& head) {
    out.append(head_bytes.substr(0, head_bytes.find('\n') + 1));
    for (const Field& field : head.fields.all()) {
        const bool is_dropped = field.known == KnownField::upgrade || field.known == KnownField::http2_settings ||
                                field.known == KnownField::connection;
        if (!is_dropped) out.append(field.name).append(": ").append(field.value).append("\r\n");
    }
    out.append(head.keep_alive ? "connection: keep-alive\r\n\r\n" : "connection: close\r\n\r\n");
}

}  // namespace

// Where every path is governed, `Accept: */*` is not enough: that is every download. Where one is, a stream on it must be
// readable, for it says where its messages go.
bool HttpGate::State::may_get_events(const RequestHead& head) const {
    return head.is("GET") && (!policy_path.empty() || asks_for_events(head));
}

size_t HttpGate::State::take_client(std::string_view bytes) {
    size_t used = 0;
    while (passage == Passage::http && !closing) {
        const std::string_view rest = bytes.substr(used);
        if (!exchange.in_hand) {
            const size_t took = take_head(rest);
            if (took == 0) break;
            used += took;
        } else if (exchange.request == HttpExchange::Request::complete) {
            // Nobody can say where the response ends: what is asked now cannot be answered.
            if (exchange.response == HttpExchange::Response::untracked && !rest.empty()) close();
            break;
        } else {
            const size_t took = take_body(rest);
            used += took;
            const bool goes_on = !exchange.in_hand || exchange.request == HttpExchange::Request::complete;
            if (took == 0 && !goes_on) break;
        }
    }
    if (passage == Passage::tunnel || passage == Passage::lines) {
        lines ? take_client_lines(bytes.substr(used)) : take_tunnelled_client(bytes.substr(used));
        return bytes.size();
    }
    return closing ? bytes.size() : used;
}

size_t HttpGate::State::take_head(std::string_view bytes) {
    const HeadFramer::Found found = request_framer.scan(bytes);
    switch (found) {
        case HeadFramer::Found::complete: break;
        case HeadFramer::Found::more:
            if (first_message && opening_of(bytes) == Opening::other_protocol) pass_other_protocol(kNotHttp, bytes);
            return 0;
        case HeadFramer::Found::refused:
            // What it is, the rest of the line will show.
            if (may_be_another_protocol(request_framer.problem(), bytes) && opening_of(bytes) == Opening::undecided) return 0;
            refuse_head(request_framer.problem(), bytes);
            return 0;
        case HeadFramer::Found::not_http:
        case HeadFramer::Found::tls:
        case HeadFramer::Found::http2:
            if (!first_message) {
                refuse_head({HttpRefusal::bad_method, request_framer.begin()}, bytes);
            } else if (found == HeadFramer::Found::not_http) {
                pass_other_protocol(kNotHttp, bytes);
            } else if (options.http_only) {
                cut(kNotHttp);
            } else {
                become_blind(found == HeadFramer::Found::tls ? "TLS" : "HTTP/2");
            }
            return 0;
    }
    const size_t begin = request_framer.begin(), end = request_framer.end();
    request_framer.reset();
    exchange.begin(sessions.next_exchange());
    exchange.head_bytes.assign(bytes.substr(begin, end - begin));
    const HttpProblem problem = exchange.head.parse(exchange.head_bytes);
    if (!problem.ok()) {
        exchange.in_hand = false;
        refuse_head({problem.refusal, begin + problem.offset}, bytes);
        return 0;
    }
    first_message = false;
    request_begun();
    return end;
}

void HttpGate::State::request_begun() {
    HttpExchange& e = exchange;
    const Fields& fields = e.head.fields;
    e.body = BodyReader(e.head.framing, BodyReader::Extensions::refuse);
    if (!is_upload(e.head)) e.hidden_request = RequestLineFinder(RequestLineFinder::Until::target);
    if (e.head.is("CONNECT")) return e.body.done() ? pass_request() : refuse_request(400, "CONNECT with a body");
    e.governed = may_reach(e.head.path, policy_path) || sessions.stream_paths().takes(*facts, e.head.path);
    if (!e.governed) {
        const bool may_be_left_unread = judge.enforcing() && e.has_length_body() && !e.body.done();
        return may_be_left_unread ? ask_for_body() : pass_request();
    }
    e.claims_mcp = e.head.has_mcp_field();
    if (has_repeated_mcp_field(fields)) {
        e.refuse_status = 400;
        e.refuse_reason = "a field of MCP occurs twice";
    }
    if (e.body.done()) {
        if (e.refuse_status != 0) return body_complete();
        return e.claims_mcp || may_get_events(e.head) ? forward_without_body() : pass_request();
    }
    hold_body();
}

// A body that the policy may have to do with: no byte of it, nor of its head, goes on before that is known.
void HttpGate::State::hold_body() {
    HttpExchange& e = exchange;
    const Fields& fields = e.head.fields;
    const ContentCoding coding = content_coding(fields);
    if (e.refuse_status == 0 && coding == ContentCoding::other) {
        e.refuse_status = 415;
        e.refuse_reason = "a Content-Encoding that cannot be read here";
    }
    if (e.refuse_status == 0 && fields.find(KnownField::content_type).many()) {
        e.refuse_status = 400;
        e.refuse_reason = "Content-Type occurs twice";
    }
    if (e.refuse_status == 0 && may_hide_json(fields)) {
        e.refuse_status = 415;
        e.refuse_reason = "a charset other than UTF-8";
    }
    if (e.refuse_status != 0) {
        // What is refused anyway need not be sent first.
        if (e.head.expect_continue || !judge.enforcing()) return refuse_request(e.refuse_status, e.refuse_reason);
        e.request = HttpExchange::Request::discarding;
    } else if (e.claims_mcp || coding != ContentCoding::identity || is_json_type(fields)) {
        e.request = HttpExchange::Request::collecting;
    }
    if (!is_over_limit()) ask_for_body();
}

void HttpGate::State::ask_for_body() {
    if (!exchange.head.expect_continue) return;
    append_continue(to_client);
    exchange.continue_sent = true;
}

// Refuses what is too long to be judged, or to be read to its end only to be refused.
bool HttpGate::State::is_over_limit() {
    HttpExchange& e = exchange;
    const bool is_kept_back = e.request == HttpExchange::Request::collecting || e.request == HttpExchange::Request::discarding;
    if (!is_kept_back) return false;
    const bool is_announced = e.has_length_body() && e.head.framing.length > options.frame_bytes_max;
    if (!is_announced && e.body.raw_bytes() <= options.frame_bytes_max) return false;
    refuse_request(e.refuse_status != 0 ? e.refuse_status : 413,
                   e.refuse_status != 0 ? e.refuse_reason : "longer than a message may be");
    return true;
}

size_t HttpGate::State::take_body(std::string_view bytes) {
    HttpExchange& e = exchange;
    const BodyReader::Piece piece = e.body.next(bytes);
    const std::string_view raw = bytes.substr(0, piece.raw_bytes);
    switch (e.request) {
        case HttpExchange::Request::passing:
            pass_body(raw);
            if (closing) return raw.size();
            break;
        case HttpExchange::Request::deciding:
        case HttpExchange::Request::collecting:
            e.raw.append(raw);
            if (!e.has_length_body()) e.text.append(piece.payload);
            break;
        case HttpExchange::Request::discarding:
        case HttpExchange::Request::complete: break;
    }
    if (piece.step == BodyReader::Step::refused) {
        refuse_body(e.body.problem());
        return raw.size();
    }
    if (e.request == HttpExchange::Request::deciding) decide_body();
    const bool goes_on = e.in_hand && e.request != HttpExchange::Request::complete && !is_over_limit();
    if (goes_on && e.body.done()) body_complete();
    return raw.size();
}

// The server may leave the body unread, and go on reading where it begins.
Guess HttpGate::State::guess_hidden_request() const {
    return judge.enforcing() && exchange.has_length_body() ? guess_request(exchange.raw) : Guess::no;
}

// The same is possible behind the beginning, where a server skips lines that are no request: of a body in chunks, since
// not every server knows them, and of one that no server expects. Others are not looked through: files are sent so.
bool HttpGate::State::may_be_taken_for_requests() const {
    return judge.enforcing() && !(is_upload(exchange.head) && exchange.has_length_body());
}

void HttpGate::State::decide_body() {
    const std::string_view text = exchange.content();
    switch (guess_hidden_request()) {
        case Guess::yes:
            exchange.refuse_status = 400;
            exchange.refuse_reason = kHiddenRequest;
            exchange.request = HttpExchange::Request::discarding;
            return;
        case Guess::more: return;
        case Guess::no: break;
    }
    if (!exchange.governed) return pass_request();
    switch (guess_json(text)) {
        case Guess::no: return pass_request();
        case Guess::more:
            // White space without end is looked at again only when it is over.
            if (text.size() <= kWhiteSpaceBytes) return;
            break;
        case Guess::yes: break;
    }
    exchange.request = HttpExchange::Request::collecting;
}

void HttpGate::State::body_complete() {
    HttpExchange& e = exchange;
    const HttpExchange::Request was = std::exchange(e.request, HttpExchange::Request::complete);
    if (was == HttpExchange::Request::passing) {
        if (e.response == HttpExchange::Response::complete) finish_exchange();
        return;
    }
    if (e.refuse_status != 0) return refuse_request(e.refuse_status, e.refuse_reason);
    if (guess_hidden_request() == Guess::yes) return refuse_request(400, kHiddenRequest);
    if (!e.governed) return pass_request();
    const ContentCoding coding = content_coding(e.head.fields);
    if (coding != ContentCoding::identity && !e.raw.empty()) {
        Result<std::string> text = inflate_bounded(coding, e.content(), options.frame_bytes_max);
        if (!text.ok()) return refuse_request(415, "a compressed body that cannot be read, or is too long");
        e.text = std::move(text).value();
        e.body_decoded = true;
    }
    const std::string_view text = e.content();
    if (!e.claims_mcp && !is_json_type(e.head.fields) && guess_json(text) != Guess::yes) return pass_request();
    if (may_be_other_charset(e.head.fields)) return refuse_request(415, "a charset other than UTF-8");
    if (text.empty()) return e.claims_mcp ? forward_without_body() : pass_request();
    read_http_body(text, e.claims_mcp, judge.policy(), parser, body);
    body.is_mcp ? judge_body(text) : pass_request();
}

void HttpGate::State::pass_request() {
    HttpExchange& e = exchange;
    e.request = e.body.done() ? HttpExchange::Request::complete : HttpExchange::Request::passing;
    counts.foreign_bytes += e.head_bytes.size();
    if (judge.enforcing() && asks_for_other_protocol(e.head.fields)) {
        append_without_upgrade(to_server, e.head_bytes, e.head);
    } else {
        to_server.append(e.head_bytes);
    }
    e.sent = server_wanted = true;
    ++passed;
    pass_body(e.raw);
    e.forget_bodies();
}

// Up to a request in it: the server has the part before, and gets no more.
void HttpGate::State::pass_body(std::string_view raw) {
    HttpExchange& e = exchange;
    const size_t end = may_be_taken_for_requests() ? e.hidden_request.scan(raw) : raw.npos;
    counts.foreign_bytes += std::min(end, raw.size());
    to_server.append(raw.substr(0, end));
    if (end == raw.npos) return;
    record_refusal(400, kRequestInBody, e.head_bytes.size() + e.body.raw_bytes());
    close();
    if (!e.answer_begun) answer_refusal(400, kRequestInBody);
}

void HttpGate::State::forward_without_body() {
    HttpExchange& e = exchange;
    const FieldLookup header = e.head.fields.find(KnownField::mcp_session_id);
    if (header.one()) set_session(sessions.find_by_header(*facts, header.value));
    RequestRewrite rewrite;
    if (e.head.framing.kind != BodyFraming::Kind::none) rewrite.content_length = 0;
    append_request_head(to_server, e.head, rewrite);
    e.request = HttpExchange::Request::complete;
    e.canonical = e.sent = server_wanted = true;
    ++passed;
}

// `read`: all that has come of it. The record counts what the refusal needed, which does not depend on the pieces.
void HttpGate::State::refuse_head(const HttpProblem& problem, std::string_view read) {
    if (may_be_another_protocol(problem, read) && opening_of(read) != Opening::request)
        return pass_other_protocol(kNotHttp, read);
    record_refusal(status_of(problem.refusal), name(problem.refusal), std::min(problem.offset + 1, read.size()));
    if (!judge.enforcing()) return start_tunnel("malformed HTTP");
    answer_refusal(status_of(problem.refusal), std::string(name(problem.refusal)) + " at byte " + std::to_string(problem.offset));
    close();
}

// Not where the connection is HTTP already, nor where what is wrong stands before the first line.
bool HttpGate::State::may_be_another_protocol(const HttpProblem& problem, std::string_view read) const {
    return first_message && problem.refusal != HttpRefusal::leading_whitespace &&
           problem.offset >= std::min(read.find_first_not_of("\r\n"), read.size());
}

void HttpGate::State::refuse_body(const HttpProblem& problem) {
    HttpExchange& e = exchange;
    if (e.request == HttpExchange::Request::passing && judge.enforcing()) {
        // The server has the first part of it, and gets no more.
        record_refusal(status_of(problem.refusal), name(problem.refusal), e.body.raw_bytes());
        if (!e.answer_begun) answer_refusal(status_of(problem.refusal), name(problem.refusal));
        return close();
    }
    refuse_request(status_of(problem.refusal), name(problem.refusal));
}

void HttpGate::State::refuse_request(int status, std::string_view reason) {
    HttpExchange& e = exchange;
    record_refusal(status, reason, e.head_bytes.size() + e.body.raw_bytes());
    const bool is_broken = e.body.problem().refusal != HttpRefusal::none;
    if (!judge.enforcing()) {
        if (!e.sent) pass_request();
        if (is_broken) start_tunnel("malformed HTTP");
        return;
    }
    const bool keeps = e.request == HttpExchange::Request::complete && e.head.keep_alive;
    answer_refusal(status, reason);
    if (!keeps) close();
    finish_exchange();
}

void HttpGate::State::client_end_in_request() {
    if (closing || passage != Passage::http) return;
    if (exchange.in_hand) {
        const bool is_kept_back =
            exchange.request != HttpExchange::Request::complete && exchange.request != HttpExchange::Request::passing;
        if (is_kept_back) refuse_request(400, name(HttpRefusal::incomplete));
    } else if (request_framer.is_empty()) {
        close();
    } else {
        refuse_head({HttpRefusal::incomplete, waiting.size()}, waiting);
    }
}

}  // namespace callgate
