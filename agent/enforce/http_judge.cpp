// One complete body: whose session it is, what the policy says of its messages, and then one canonical request, or our
// answer.
#include "base/clock.h"
#include "enforce/http_gate_state.h"
#include "enforce/http_target.h"
#include "enforce/mcp_fields.h"
#include "http/emit.h"
#include "jsonrpc/answer.h"

namespace callgate {
namespace {

// The first revision without a handshake; revisions are dates and compare as text.
constexpr std::string_view kModernRevision = "2026-07-28";
constexpr std::string_view kRuleBatch = "(batch)";
constexpr std::string_view kReasonBatch = "Another message of this batch was denied.";

Verdict denial(int code, std::string_view rule, std::string_view reason) {
    Verdict verdict;
    verdict.action = Action::deny;
    verdict.code = code;
    verdict.rule = rule;
    verdict.reason = reason;
    return verdict;
}

}  // namespace

// The array is judged element by element, and goes on whole or not at all.
void HttpGate::State::judge_body(std::string_view text) {
    const size_t number = body.messages.size();
    if (number == 0) return refuse_array(text);
    const int64_t start = monotonic_ns();
    queue_ns = start - arrived_ns;
    outcomes.assign(number, {});
    bool stops = false;
    for (size_t i = 0; i < number; ++i) {
        const Message& message = message_of(i);
        if (i == 0 && !is_held) choose_session(message);
        stops |= judge_message(message, i);
    }
    judge_ns = (monotonic_ns() - start) / static_cast<int64_t>(number);
    if (!stops && !use_approvals()) stops = true;
    if (!stops || !judge.enforcing()) {
        leave_line();
        return forward_messages(text);
    }
    for (const Outcome& outcome : outcomes) judge.give_back(outcome.verdict);
    if (hold_judged_body(text)) return;
    leave_line();
    answer_messages();
}

// Of all messages together, as they go on. Where it cannot be recorded, none of those that need it may.
bool HttpGate::State::use_approvals() {
    std::vector<ApprovalId> all;
    for (const Outcome& outcome : outcomes)
        all.insert(all.end(), outcome.verdict.approvals.begin(), outcome.verdict.approvals.end());
    if (judge.use_approvals(all)) return true;
    for (Outcome& outcome : outcomes) {
        if (!outcome.verdict.approvals.empty()) judge.deny_unrecorded(outcome.verdict);
    }
    return false;
}

// Valid until the next call.
const Message& HttpGate::State::message_of(size_t i) {
    return body.only != nullptr ? *body.only : parser.parse(body.messages[i], JsonText::document);
}

// True where it must not go on.
bool HttpGate::State::judge_message(const Message& message, size_t i) {
    const Fields& fields = exchange.head.fields;
    Outcome& outcome = outcomes[i];
    outcome.is_malformed = message.kind == MessageKind::invalid;
    if (outcome.is_malformed) return true;
    outcome.disagreement = body.is_array ? field_disagreement_of_array(fields) : field_disagreement(fields, message);
    if (!outcome.disagreement.empty()) return true;
    Caller caller = caller_of(message);
    caller.turn = turn;
    outcome.verdict = judge.judge_part(message, caller, exchange.session->pending);
    // A reason lasts until the next message is judged.
    outcome.reason = outcome.verdict.reason;
    outcome.verdict.reason = outcome.reason;
    outcome.delay_key = outcome.verdict.delay_key;
    outcome.verdict.delay_key = outcome.delay_key;
    return outcome.verdict.action == Action::deny;
}

// Valid as long as the message.
Caller HttpGate::State::caller_of(const Message& message) {
    HttpSession& session = *exchange.session;
    Caller caller{facts->grant, session.id, options.policy->name(), &facts->server, &facts->peer};
    const bool says_client = message.has_client_info && message.has_meta_protocol_version;
    caller.client_name = says_client ? message.client_name : session.client_name;
    caller.client_version = says_client ? message.client_version : session.client_version;
    caller.annotations = &session.annotations;
    caller.approvals = judge.approvals();
    caller.pins = &session.pins;
    if (grant.know_client(caller.client_name)) audit_session.reset();
    grant.apply_to(caller);
    session.grant = grant.key();
    return caller;
}

void HttpGate::State::choose_session(const Message& first) {
    const FieldLookup header = exchange.head.fields.find(KnownField::mcp_session_id);
    HttpSessions::Pointer session = sessions.find_by_target(*facts, origin_target(exchange.head));
    if (!session && header.one()) session = sessions.find_by_header(*facts, header.value);
    if (!session && first.method == "initialize" && header.none()) {
        session = sessions.open(facts, options.policy, first.client_name);
        session->client_version = first.client_version.substr(0, kNameBytesMax);
        exchange.opens_session = true;
    }
    if (!session) {
        const bool has_client = first.has_meta_protocol_version;
        session = sessions.by_peer(facts, options.policy, has_client ? first.client_name : std::string_view());
    }
    set_session(std::move(session));
}

void HttpGate::State::set_session(HttpSessions::Pointer session) {
    if (session) {
        ++session->exchanges;
        session->pending.charged_to(judge.counters());
    }
    if (exchange.session) --exchange.session->exchanges;
    exchange.session = std::move(session);
}

void HttpGate::State::forward_messages(std::string_view text) {
    HttpExchange& e = exchange;
    e.has_messages = true;
    const int64_t now = monotonic_ns();
    const uint64_t place = e.pending_place();
    for (size_t i = 0; i < outcomes.size(); ++i) {
        const Message& message = message_of(i);
        const Outcome& outcome = outcomes[i];
        count([](FrameCounts& books) { ++books.in, ++books.forwarded; });
        const bool is_judged = !outcome.is_malformed && outcome.disagreement.empty();
        if (is_judged) (void)caller_of(message);  // the record names its grant, not that of the last one
        const bool is_asked = is_judged && message.kind != MessageKind::response;
        const Decision decision = is_judged ? CallJudge::decision_of_forwarded(message, outcome.verdict) : Decision::would_deny;
        const RecordId record = write_record(message, body.messages[i].size(), decision, is_asked ? &outcome.verdict : nullptr);
        if (message.kind == MessageKind::notification) cancel_elsewhere(message);
        if (message.kind != MessageKind::request) {
            judge.release(outcome.verdict);
            continue;
        }
        PendingRequest pending = CallJudge::pending_request(message, record, outcome.verdict, now);
        pending.exchange = place;
        e.session->pending.add(message.id_key, std::move(pending));
        e.waiting_ids.emplace_back(message.id_key);
    }
    append_request_head(to_server, e.head, {.content_length = text.size(), .body_decoded = e.body_decoded});
    to_server.append(text);
    e.forget_bodies();
    e.canonical = e.sent = server_wanted = true;
    ++passed;
}

bool HttpGate::State::is_modern() const {
    return exchange.head.fields.find(KnownField::mcp_protocol_version).value >= kModernRevision;
}

void HttpGate::State::answer_messages() {
    HttpExchange& e = exchange;
    std::vector<std::string> answers;
    std::string without_id;  // of a malformed message, where nothing can be answered to anybody
    bool is_mismatch = false;
    for (size_t i = 0; i < outcomes.size(); ++i) {
        const Message& message = message_of(i);
        const size_t bytes = body.messages[i].size();
        Outcome& outcome = outcomes[i];
        std::string answer;
        if (outcome.is_malformed) {
            count([](FrameCounts& books) { ++books.in, ++books.refused; });
            write_record(message, bytes, Decision::refused, nullptr);
            std::string& place = message.id_token.empty() ? without_id : answer;
            if (place.empty()) append_refusal(place, message.id_token, message.refusal, message.refusal_offset);
        } else if (!outcome.disagreement.empty()) {
            is_mismatch = true;
            count([](FrameCounts& books) { ++books.in, ++books.refused; });
            const Verdict verdict = denial(kCodeHeaderMismatch, "(header mismatch)", outcome.disagreement);
            write_record(message, bytes, Decision::refused, &verdict);
            append_field_disagreement(answer, message.id_token, outcome.disagreement);
        } else {
            (void)caller_of(message);
            if (outcome.verdict.action != Action::deny) outcome.verdict = denial(kCodeDenied, kRuleBatch, kReasonBatch);
            count([](FrameCounts& books) { ++books.in, ++books.denied; });
            write_record(message, bytes, Decision::denied, &outcome.verdict);
            judge.append_denial(answer, message, outcome.verdict, is_modern() || message.has_meta_protocol_version);
        }
        if (!answer.empty()) answers.push_back(std::move(answer));
    }
    if (std::exchange(e.opens_session, false)) sessions.end(e.session, "its initialize was denied");
    if (answers.empty() && without_id.empty()) return answer_accepted();
    if (answers.empty()) return answer_json(400, {std::move(without_id)}, false);
    if (!is_mismatch && send_on_stream(answers)) return answer_accepted();
    answer_json(is_mismatch ? 400 : 200, answers, body.is_array);
}

// An array that cannot be taken apart, or has nothing in it.
void HttpGate::State::refuse_array(std::string_view text) {
    Message message;
    message.refusal = body.problem.ok() ? Refusal::batch : body.problem.refusal;
    message.refusal_offset = static_cast<uint32_t>(body.problem.offset);
    count_refusal();
    write_record(message, text.size(), judge.enforcing() ? Decision::refused : Decision::would_deny, nullptr);
    if (!judge.enforcing()) return pass_request();
    std::string answer;
    append_refusal(answer, {}, message.refusal, message.refusal_offset);
    answer_json(400, {std::move(answer)}, false);
}

void HttpGate::State::count_refusal() {
    const bool refuses = judge.enforcing();
    count([refuses](FrameCounts& books) { ++books.in, ++(refuses ? books.refused : books.forwarded); });
}

void HttpGate::State::record_refusal(int status, std::string_view reason, size_t bytes) {
    const Message nothing;
    const Verdict verdict = denial(status, "(http)", reason);
    queue_ns = judge_ns = 0;
    count_refusal();
    write_record(nothing, bytes, judge.enforcing() ? Decision::refused : Decision::would_deny, &verdict);
}

RecordId HttpGate::State::write_record(const Message& message, size_t bytes, Decision decision, const Verdict* verdict) {
    MessageRecord record;
    record.direction = Direction::client_to_server;
    record.message = &message;
    record.bytes = bytes;
    record.decision = decision;
    record.verdict = verdict;
    record.read_ns = read_ns;
    record.queue_ns = queue_ns;
    record.judge_ns = judge_ns;
    return audit.message(audit_session_of(exchange.session.get()), record);
}

// A session as this connection uses it: the record of each message names who really sent it.
const std::shared_ptr<const AuditSession>& HttpGate::State::audit_session_of(const HttpSession* session) {
    const std::string_view id = session ? std::string_view(session->id) : std::string_view();
    if (!audit_session || audit_id != id) {
        audit_id = id;
        audit_session = audit.describe(facts->session_facts(audit_id, *options.policy, grant.key()));
    }
    return audit_session;
}

}  // namespace callgate
