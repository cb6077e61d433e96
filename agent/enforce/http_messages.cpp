// JSON-RPC in responses, whole or as events: answers are matched to what they answer, hidden tools cut out of lists, and
// sessions get their names.
#include <algorithm>

#include "base/clock.h"
#include "enforce/http_gate_state.h"
#include "enforce/http_target.h"
#include "http/emit.h"
#include "http/target_path.h"
#include "jsonrpc/answer.h"
#include "jsonrpc/id.h"

namespace callgate {
namespace {

constexpr std::string_view kEventEnd = "\n\n";

}  // namespace

// The head of a response to a judged request names a session, or ends one.
void HttpGate::State::session_of_response() {
    HttpExchange& e = exchange;
    const FieldLookup given = e.answer.fields.find(KnownField::mcp_session_id);
    const bool has_name = given.one() && !given.value.empty() && given.value.size() <= kNameBytesMax;
    const bool is_good = e.answer.status >= 200 && e.answer.status < 300;
    const std::string path = loosest_path(e.head.path);
    if (std::exchange(e.opens_session, false)) {
        if (!is_good) {
            e.session_end = "its initialize failed";
            return;
        }
        if (!has_name) return sessions.name_by_peer(e.session, {});
        return sessions.name_by_header(e.session, given.value, path);
    }
    const bool is_known = e.session && e.session->kind == HttpSessionKind::header;
    if (!is_known) {
        // A session that is older than we are: the server vouches for the name that the client gave.
        const bool is_vouched_for = is_good && has_name && e.head.fields.find(KnownField::mcp_session_id).is(given.value);
        if (is_vouched_for && !sessions.find_by_header(*facts, given.value)) {
            sessions.name_by_header(sessions.open(facts, options.policy, {}), given.value, path);
        }
        return;
    }
    if (e.session->path != path) return;
    // To other methods a server answers so where it only has no route for them.
    if (e.answer.status == 404 && e.has_messages) e.session_end = "the server does not know it any more";
    if (is_good && e.head.is("DELETE")) e.session_end = "its client ended it";
}

// A whole response body; unchanged, it goes on with the bytes and the framing that it came with.
void HttpGate::State::deliver_json() {
    HttpExchange& e = exchange;
    std::string changed;
    if (!examine(e.answer_content(), changed)) {
        to_client.append(e.answer_bytes).append(e.answer_raw);
    } else {
        ResponseRewrite rewrite;
        rewrite.framing = {BodyFraming::Kind::length, changed.size()};
        rewrite.body_changed = true;
        rewrite.keep_alive = e.answer.keep_alive && e.head.keep_alive && e.answer.framing.kind != BodyFraming::Kind::until_close;
        append_response_head(to_client, e.answer, rewrite);
        to_client.append(changed);
    }
    e.answer_begun = true;
}

bool HttpGate::State::examine(std::string_view json, std::string& changed) {
    if (!is_batch(json)) return examine_message(json, changed);
    std::vector<std::string_view> elements;
    if (!split_batch(json, kJsonMembersMax, elements).ok()) {
        return examine_refused(json, server_parser.parse(json, JsonText::document), changed);
    }
    const char* copied = json.data();
    std::string out;
    for (const std::string_view element : elements) {
        std::string other;
        if (!examine_message(element, other)) continue;
        out.append(copied, element.data()).append(other);
        copied = element.data() + element.size();
    }
    if (copied == json.data()) return false;
    changed = out.append(copied, json.data() + json.size());
    return true;
}

bool HttpGate::State::examine_message(std::string_view json, std::string& changed) {
    const Message& message = server_parser.parse(json, JsonText::document);
    if (message.kind == MessageKind::invalid) return examine_refused(json, message, changed);
    if (!exchange.session) set_session(sessions.by_peer(facts, options.policy, {}));
    const bool is_response = message.kind == MessageKind::response;
    const Caller caller = caller_of(message);
    const Verdict* const verdict =
        is_response ? judge.judge_input_requests(message, caller) : judge.judge_server(message, caller);
    const bool denied = verdict && verdict->action == Action::deny && judge.enforcing();
    count([denied](FrameCounts& books) { ++books.server_in, ++(denied ? books.server_denied : books.server_forwarded); });
    MessageRecord record;
    record.direction = Direction::server_to_client;
    record.message = &message;
    record.bytes = json.size();
    record.verdict = verdict;
    record.decision = denied    ? Decision::denied
                      : verdict ? CallJudge::decision_of_forwarded(message, *verdict)
                                : Decision::passed;
    record.read_ns = read_ns;
    PendingRequest request;
    const bool is_known = is_response && match(message, message.id_key, request, record);
    audit.message(audit_session_of(exchange.session.get()), record);
    if (denied) {
        append_denial_of(changed, message, is_known ? message.id_key : std::string_view(), request, *verdict);
        return true;
    }
    // A response to an unknown id may answer what was asked before we were there, one to an id that is used twice the other one.
    const bool is_list = is_known && request.method_name() == "tools/list";
    const bool may_be_list = is_response && (!is_known || is_list || request.shares_id);
    if (may_be_list) judge.learn(json, is_list && !message.is_error, learning());
    if (!may_be_list || !judge.append_filtered(json, changed)) return false;
    count([](FrameCounts& books) { ++books.lists_filtered; });
    return true;
}

// Not a message, or none that is ours to read; to another reader it may be one that the policy denies.
bool HttpGate::State::examine_refused(std::string_view json, const Message& refused, std::string& changed) {
    const bool is_message = may_be_message(json, refused);
    if (is_message && !exchange.session) set_session(sessions.by_peer(facts, options.policy, {}));
    const PendingTable* const pending = exchange.session ? &exchange.session->pending : nullptr;
    const bool may_be_list = is_message && pending->may_be_list(refused.id_key);
    if (may_be_list && pending->has_list(refused.id_key)) judge.note_unreadable_list(learning());
    const CallJudge::Unreadable found = judge.look_into_unreadable(json, refused, may_be_list);
    if (!is_message && found == CallJudge::Unreadable::harmless) return false;
    if (exchange.session) exchange.session->pending.maybe_answered();
    const Verdict* const verdict = found == CallJudge::Unreadable::harmless ? nullptr : &judge.unreadable();
    const bool denied = verdict && judge.enforcing();
    count([denied](FrameCounts& books) { ++books.server_in, ++(denied ? books.server_denied : books.server_forwarded); });
    MessageRecord record;
    record.direction = Direction::server_to_client;
    record.message = &refused;
    record.bytes = json.size();
    record.verdict = verdict;
    record.decision = denied ? Decision::denied : verdict ? Decision::would_deny : Decision::passed;
    record.read_ns = read_ns;
    PendingRequest request;
    std::string answered_key;
    if (denied && found == CallJudge::Unreadable::list) {
        // Where its id cannot be read, it answers the only request for a list that there is.
        const bool has_id = !refused.id_key.empty() && pending->has_list(refused.id_key);
        answered_key = has_id ? std::string(refused.id_key) : pending->only_list();
        if (!match(refused, answered_key, request, record)) answered_key.clear();
    }
    audit.message(audit_session_of(exchange.session.get()), record);
    if (denied) {
        append_denial_of(changed, refused, answered_key, request, *verdict);
        return true;
    }
    if (!may_be_list || !judge.append_filtered(json, changed)) return false;
    count([](FrameCounts& books) { ++books.lists_filtered; });
    return true;
}

// In place of a message that may not reach the client: the request that it answers is answered. Where it answers none, something
// has to stand in its event or body.
void HttpGate::State::append_denial_of(std::string& out, const Message& message, std::string_view answered_key,
                                       const PendingRequest& request, const Verdict& verdict) {
    if (answered_key.empty()) return append_denied_placeholder(out, message.has_method ? message.id_token : std::string_view());
    judge.append_denial_of_response(out, id_of_key(answered_key), request, verdict, is_modern());
    out.pop_back();  // the line's end
}

bool HttpGate::State::match(const Message& response, std::string_view id_key, PendingRequest& request, MessageRecord& record) {
    HttpExchange& e = exchange;
    if (id_key.empty()) return false;
    PendingTable& pending = e.session->pending;
    if (pending.take(id_key, e.pending_place(), request)) {
        const auto waits = std::find(e.waiting_ids.begin(), e.waiting_ids.end(), id_key);
        if (waits != e.waiting_ids.end()) e.waiting_ids.erase(waits);
    } else if (!e.has_messages && e.session->kind == HttpSessionKind::header && pending.take(id_key, request)) {
        request.shares_id = true;  // a resumed stream: which exchange it began in is not known
    } else {
        return false;
    }
    judge.match(response, request, record);
    return true;
}

// What has no answer and gets none in this exchange.
void HttpGate::State::forget_unanswered(Unanswered how) {
    HttpExchange& e = exchange;
    const bool is_one_of_several = body.is_array;
    for (const std::string& id : e.waiting_ids) {
        PendingRequest request;
        if (!e.session->pending.take(id, e.pending_place(), request)) continue;
        if (how != Unanswered::failed) {
            judge.settle(request, how == Unanswered::not_made   ? CallEnd::error
                                  : how == Unanswered::for_good ? CallEnd::unanswered
                                                                : CallEnd::done);
            continue;
        }
        // The server refused it in HTTP, not in JSON-RPC. Whether it had done some of it by then, only 3xx and 4xx tell, and
        // only of one message.
        if (e.answer.status >= 500 || is_one_of_several) request.shares_id = true;
        Message response;
        response.kind = MessageKind::response;
        response.is_error = true;
        response.error_code = e.answer.status;
        count([](FrameCounts& books) { ++books.server_in, ++books.server_forwarded; });
        MessageRecord record;
        record.direction = Direction::server_to_client;
        record.message = &response;
        record.decision = Decision::passed;
        record.read_ns = read_ns;
        judge.match(response, request, record);
        audit.message(audit_session_of(e.session.get()), record);
    }
    e.waiting_ids.clear();
}

void HttpGate::State::begin_events() {
    HttpExchange& e = exchange;
    sse.clear();
    inside_event = false;
    events_waiting.clear();
    const BodyFraming::Kind came = e.answer.framing.kind;
    e.chunks_out = e.head.minor_version > 0 && came != BodyFraming::Kind::until_close;
    const bool as_it_came = came == (e.chunks_out ? BodyFraming::Kind::chunked : BodyFraming::Kind::until_close);
    if (as_it_came) {
        to_client.append(e.answer_bytes);
    } else {
        ResponseRewrite rewrite;
        rewrite.framing.kind = e.chunks_out ? BodyFraming::Kind::chunked : BodyFraming::Kind::until_close;
        rewrite.body_changed = true;
        rewrite.keep_alive = e.answer.keep_alive && e.head.keep_alive;
        append_response_head(to_client, e.answer, rewrite);
        if (!e.chunks_out) e.answer.keep_alive = false;
    }
    e.answer_begun = true;
}

void HttpGate::State::events(std::string_view payload) { sse.feed(payload, event_handler); }

void HttpGate::State::finish_events() {
    if (std::exchange(inside_event, false) && !events_waiting.empty()) {
        emit_events(kEventEnd);
        emit_events(std::exchange(events_waiting, {}));
    }
    finish_last_event();
    sse.clear();
    if (closing) return;
    if (exchange.chunks_out) append_last_chunk(to_client);
}

// An event that the stream's end cut short: a careful client drops it, and a careless one must not see a hidden tool.
void HttpGate::State::finish_last_event() {
    const std::string rest(sse.rest());
    if (rest.empty()) return;
    if (rest.size() + kEventEnd.size() > options.frame_bytes_max) return event_handler.oversize(rest);
    event_handler.at_end = true;
    event_handler.replaced = false;
    sse.feed(kEventEnd, event_handler);
    event_handler.at_end = false;
    if (!event_handler.replaced) emit_events(rest);
}

void HttpGate::State::emit_events(std::string_view bytes) {
    exchange.chunks_out ? append_chunk(to_client, bytes) : static_cast<void>(to_client.append(bytes));
}

// HTTP+SSE: from here on the server takes the messages of this stream's session at that target.
void HttpGate::State::endpoint_event(std::string_view reference) {
    const HttpExchange& e = exchange;
    const std::string target = resolve_target(origin_target(e.head), reference);
    if (target.size() > kHttpTargetBytesMax) return;
    const bool has_session = e.session && e.session->kind != HttpSessionKind::peer;
    const bool is_as_revision_says = e.head.is("GET") && !e.has_messages && !e.head.fields.has(KnownField::mcp_session_id);
    if (!has_session && is_as_revision_says) return set_session(sessions.open_stream(facts, options.policy, target, gate));
    // What else the client put into its request may mean nothing to the server.
    sessions.stream_paths().know(*facts, loosest_path(std::string_view(target).substr(0, target.find('?'))));
}

bool HttpGate::State::send_event(std::string_view json) {
    std::string event;
    append_sse_message(event, json);
    return send_events(event);
}

void HttpGate::State::EventHandler::event(const SseEvent& event) {
    if (state.closing) return;
    if (event.id && !event.id->empty()) state.exchange.is_resumable = true;
    if (event.name == "endpoint" && !at_end) state.endpoint_event(event.data);
    std::string changed;
    if (!event.data.empty() && state.examine(event.data, changed)) {
        std::string out;
        append_sse_with_data(out, event, changed);
        state.emit_events(out);
        replaced = true;
    } else if (!at_end) {
        state.emit_events(event.raw);
    }
}

void HttpGate::State::EventHandler::other(std::string_view raw) {
    if (!state.closing && !at_end) state.emit_events(raw);
}

// It cannot be looked into: where a list could be in it that hides a tool, or a request that is denied, the stream ends
// here.
void HttpGate::State::EventHandler::oversize(std::string_view piece) {
    if (state.closing) return;
    if (state.exchange.session) state.exchange.session->pending.maybe_answered();
    if (state.must_filter()) return state.close();
    state.inside_event = true;
    state.emit_events(piece);
}

void HttpGate::State::EventHandler::oversize_end() {
    state.inside_event = false;
    if (!state.closing) state.emit_events(std::exchange(state.events_waiting, {}));
}

}  // namespace callgate
