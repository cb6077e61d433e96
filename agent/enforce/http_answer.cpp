// The bytes of our own answers. Each ends the exchange, and the connection where the client wanted no more of it.
#include "enforce/http_gate_state.h"
#include "http/emit.h"
#include "http/media_type.h"

namespace callgate {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kEvents = "text/event-stream";

std::string_view without_line_end(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    return line;
}

std::string json_of(const std::vector<std::string>& answers, bool as_array) {
    std::string out(as_array ? "[" : "");
    for (const std::string& answer : answers) {
        if (&answer != &answers.front()) out += ',';
        out += without_line_end(answer);
    }
    return as_array ? out + "]" : out;
}

}  // namespace

void HttpGate::State::answer(int status, std::string_view content_type, std::string_view content) {
    HttpExchange& e = exchange;
    Answer made;
    made.status = status;
    made.content_type = content_type;
    made.event_stream = content_type == kEvents;
    made.minor_version = e.in_hand ? e.head.minor_version : 1;
    made.keep_alive = e.in_hand && e.request == HttpExchange::Request::complete && e.head.keep_alive && !closing;
    if (e.in_hand) made.session_id = e.head.fields.find(KnownField::mcp_session_id).value;
    if (e.in_hand && e.head.is("HEAD")) {
        made.framing = {BodyFraming::Kind::length, content.size()};
        append_answer_head(to_client, made);
    } else {
        append_answer(to_client, made, content);
    }
    if (!made.keep_alive) close();
    finish_exchange();
}

void HttpGate::State::answer_json(int status, const std::vector<std::string>& answers, bool as_array) {
    if (accepts(exchange.head.fields, kJson) || !accepts(exchange.head.fields, kEvents)) {
        return answer(status, kJson, json_of(answers, as_array));
    }
    std::string events;
    for (const std::string& each : answers) append_sse_message(events, without_line_end(each));
    answer(status, kEvents, events);
}

// HTTP+SSE: the POST is only accepted, what it is answered comes on the stream.
void HttpGate::State::answer_accepted() {
    const bool is_on_stream = exchange.session && exchange.session->kind == HttpSessionKind::stream;
    is_on_stream ? answer(202, "text/plain", "Accepted") : answer(202, {}, {});
}

void HttpGate::State::answer_refusal(int status, std::string_view reason) {
    std::string text = "callgate refused this request: ";
    text.append(reason).append("\n");
    answer(status, "text/plain", text);
}

// The server broke off, or what it sent must not be passed on.
void HttpGate::State::answer_bad_gateway(std::string_view why) {
    std::string text = "callgate has no answer of the server to pass on: ";
    text.append(why).append("\n");
    close();
    answer(502, "text/plain", text);
}

bool HttpGate::State::send_on_stream(const std::vector<std::string>& answers) {
    const HttpSessions::Pointer& session = exchange.session;
    if (!session || session->kind != HttpSessionKind::stream || session->stream == nullptr) return false;
    std::string events;
    for (const std::string& each : answers) append_sse_message(events, without_line_end(each));
    return session->stream->state_->send_events(events);
}

// Between two events of the server, all of them or none.
bool HttpGate::State::send_events(std::string_view bytes) {
    const bool streams = exchange.in_hand && exchange.response == HttpExchange::Response::events && !closing;
    if (!streams || to_client.size() + events_waiting.size() + bytes.size() > kHttpStreamBytesMax) return false;
    if (inside_event) {
        events_waiting.append(bytes);
    } else {
        emit_events(bytes);
    }
    if (gate.on_output) gate.on_output();
    return true;
}

}  // namespace callgate
