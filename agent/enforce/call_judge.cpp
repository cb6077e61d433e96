#include "enforce/call_judge.h"

#include "base/clock.h"
#include "enforce/pin_events.h"
#include "jsonrpc/answer.h"
#include "jsonrpc/input_requests.h"
#include "jsonrpc/lenient_method.h"
#include "jsonrpc/tools_list.h"

namespace callgate {
namespace {

constexpr std::string_view kRuleUnreadable = "(unreadable message)";
constexpr std::string_view kRuleUnclearRequests = "(unclear inputRequests)";
constexpr std::string_view kUnclearRequests = "Clients may differ in what the server asks of them in this.";
constexpr std::string_view kUnreadable =
    "Some clients may read in this what the policy denies, and it cannot be read as each of them would.";

bool begins_json(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t\r\n\xef\xbb\xbf");
    return first != text.npos && (text[first] == '{' || text[first] == '[');
}

// Readers differ in numbers without end, in control characters, in commas; but what a client takes for an answer has this key,
// or one with escapes.
bool may_be_answer(std::string_view text) { return text.find("\"jsonrpc\"") != text.npos || text.find("\\u") != text.npos; }

}  // namespace

bool may_be_message(std::string_view text, const Message& refused) {
    const Refusal why = refused.refusal;
    if (!begins_json(text) || why == Refusal::empty || why == Refusal::incomplete) return false;
    if (why == Refusal::no_method) return refused.has_jsonrpc_2;
    return why != Refusal::not_json || may_be_answer(text);  // what is none to this parser may be JSON to another
}

std::optional<WaitTime> wait_time(const Verdict& verdict, int64_t now_ns, std::optional<int64_t> deadline_ns) {
    constexpr int64_t kNanosecondsPerMillisecond = 1'000'000;
    const int64_t until_ns = deadline_ns.value_or(now_ns + verdict.max_delay_ms * kNanosecondsPerMillisecond);
    if (until_ns <= now_ns) return std::nullopt;
    // Without a time, room is made by a call that ends.
    if (!verdict.retry_after_ms) return WaitTime{until_ns, until_ns};
    const int64_t due_ns = now_ns + *verdict.retry_after_ms * kNanosecondsPerMillisecond;
    if (due_ns > until_ns) return std::nullopt;
    return WaitTime{due_ns, until_ns};
}

const Verdict& CallJudge::judge(const Message& message, const Caller& caller, const PendingTable& pending) {
    judge_part(message, caller, pending);
    if (!verdict_.approvals.empty() && !use_approvals(verdict_.approvals)) deny_unrecorded(verdict_);
    return verdict_;
}

const Verdict& CallJudge::judge_part(const Message& message, const Caller& caller, const PendingTable& pending) {
    verdict_.reset();
    if (message.kind == MessageKind::response || policy_->mode() == Mode::observe) return verdict_;
    if (message.kind == MessageKind::request && pending.full()) {
        verdict_.deny(kCodeOverLimit, "(too many requests in flight)", "Too many requests are waiting for an answer.");
        verdict_.retry_after_ms = 1000;
        return verdict_;
    }
    if (message.kind == MessageKind::notification && caller.approvals != nullptr) {
        // Nobody could be told what to approve.
        Caller quiet = caller;
        quiet.approvals = nullptr;
        return judge_part(message, quiet, pending);
    }
    if (message.method == "tools/call") {
        policy_->judge_tool({message.name, message.arguments, message.params}, caller, realtime_ns(), counters_, verdict_);
    } else {
        policy_->judge_method(message, caller, realtime_ns(), counters_, verdict_);
    }
    return verdict_;
}

bool CallJudge::use_approvals(std::span<const ApprovalId> approvals) {
    return approvals.empty() || approvals_->use(approvals, realtime_ns(), counters_.turn()).ok();
}

void CallJudge::deny_unrecorded(Verdict& verdict) {
    counters_.roll_back(verdict.charged);
    verdict.charged.clear();
    verdict.approvals.clear();
    verdict.deny(kCodeDenied, "(approval not recorded)",
                 "The use of its approval cannot be recorded now, so the call is not let through.");
}

void CallJudge::give_back(const Verdict& verdict) {
    counters_.roll_back(verdict.charged);
    if (!verdict.approvals.empty()) approvals_->give_back(verdict.approvals);
}

const Verdict* CallJudge::judge_server(const Message& message, const Caller& caller) {
    const bool is_asked = message.kind == MessageKind::request || message.kind == MessageKind::notification;
    if (!is_asked || !policy_->says_anything_of_methods() || policy_->mode() == Mode::observe) return nullptr;
    Caller asked = caller;
    if (message.kind == MessageKind::notification) asked.approvals = nullptr;
    policy_->judge_server_message(message, asked, realtime_ns(), counters_, verdict_);
    // What a server asks of its client does not wait.
    verdict_.max_delay_ms = 0;
    if (!verdict_.approvals.empty() && !use_approvals(verdict_.approvals)) deny_unrecorded(verdict_);
    // Which answer of the client is for it is not followed, so it is in flight for no time at all.
    counters_.settle(verdict_.charged, CallEnd::done);
    return &verdict_;
}

// Each as the request that it would be by itself in an older revision.
const Verdict* CallJudge::judge_input_requests(const Message& response, const Caller& caller) {
    if (response.result.empty() || !policy_->says_anything_of_methods() || policy_->mode() == Mode::observe) return nullptr;
    const InputRequests asked = read_input_requests(response.result);
    if (asked.kind == InputRequests::Kind::none) return nullptr;
    const Verdict* verdict = nullptr;
    bool is_clear = asked.kind == InputRequests::Kind::asked;
    MessageParser parser;
    for (const std::string_view request : asked.requests) {
        if (!is_clear) break;
        const std::string text = R"({"jsonrpc":"2.0","id":0,)" + std::string(request.substr(1));
        const Message& message = parser.parse(text, JsonText::document);
        is_clear = message.kind == MessageKind::request;
        if (!is_clear) break;
        verdict = judge_server(message, caller);
        if (verdict->action == Action::deny) return verdict;
    }
    if (is_clear) return verdict;
    verdict_.reset();
    verdict_.deny(kCodeDenied, kRuleUnclearRequests, kUnclearRequests);
    return &verdict_;
}

CallJudge::Unreadable CallJudge::look_into_unreadable(std::string_view text, const Message& refused, bool is_list) const {
    if (policy_->mode() == Mode::observe) return Unreadable::harmless;
    // Every reader finds the same in this, and no method.
    const bool is_plain = refused.refusal == Refusal::empty || refused.refusal == Refusal::no_method;
    const auto is_governed = [this](std::optional<std::string_view> method) {
        return !method || policy_->says_anything_of_method(*method);
    };
    if (!is_plain && policy_->says_anything_of_methods() && any_lenient_method(text, is_governed)) return Unreadable::request;
    const auto is_hidden = [this](std::string_view tool) { return policy_->is_hidden(tool); };
    if (!is_list || !policy_->hides_any()) return Unreadable::harmless;
    std::string ignored;
    const bool can_be_filtered = filter_tools_list(text, is_hidden, ignored).is_readable;
    return !can_be_filtered && any_lenient_text(text, is_hidden) ? Unreadable::list : Unreadable::harmless;
}

const Verdict& CallJudge::unreadable() {
    verdict_.reset();
    verdict_.deny(kCodeDenied, kRuleUnreadable, kUnreadable);
    return verdict_;
}

Decision CallJudge::decision_of_forwarded(const Message& message, const Verdict& verdict) {
    if (verdict.action == Action::deny) return Decision::would_deny;
    return message.kind == MessageKind::response ? Decision::passed : Decision::allowed;
}

void CallJudge::append_denial(std::string& out, const Message& request, const Verdict& verdict, bool modern) const {
    const bool may_be_request = request.kind == MessageKind::invalid && request.has_method && !request.id_token.empty();
    if (request.kind != MessageKind::request && !may_be_request) return;
    Denial denial;
    denial.code = verdict.code;
    denial.reason = verdict.reason;
    denial.rule = verdict.rule;
    denial.tool = request.name;
    denial.retry_after_ms = verdict.retry_after_ms;
    denial.approval = verdict.approval.view();
    if (!denial.approval.empty()) denial.approval_expires = utc_text(verdict.approval_expires_ns);
    const bool as_result = policy_->deny_as() == DenyAs::result && verdict.code != kCodeApproval;
    if (request.method == "tools/call" && as_result) {
        append_denied_result(out, request.id_token, denial, modern);
    } else {
        append_denied_error(out, request.id_token, denial);
    }
}

void CallJudge::append_denial_of_response(std::string& out, std::string_view id_token, const PendingRequest& request,
                                          const Verdict& verdict, bool modern) const {
    Message asked;
    asked.kind = MessageKind::request;
    asked.id_token = id_token;
    asked.method = request.method_name();
    asked.name = request.tool;
    append_denial(out, asked, verdict, modern);
}

PendingRequest CallJudge::pending_request(const Message& request, const RecordId& record, const Verdict& verdict,
                                          int64_t forwarded_ns) {
    PendingRequest pending;
    pending.record = record;
    if (request.method != "tools/call") pending.method = request.method;
    pending.tool = request.name;
    pending.forwarded_ns = forwarded_ns;
    pending.charged = verdict.charged;
    return pending;
}

void CallJudge::match(const Message& response, const PendingRequest& request, MessageRecord& record) {
    record.request_record_id = request.record.view();
    record.request_method = request.method_name();
    record.request_tool = request.tool;
    record.latency_ns = monotonic_ns() - request.forwarded_ns;
    settle(request, response.is_error ? CallEnd::error : response.is_tool_error ? CallEnd::tool_error : CallEnd::done);
}

void CallJudge::settle(const PendingRequest& request, CallEnd end) {
    counters_.settle(request.charged, request.shares_id ? CallEnd::done : end);
}

void CallJudge::learn(std::string_view response, bool is_list, const Learning& what) const {
    if (policy_->asks_for_annotations()) {
        read_tool_annotations(response,
                              [&](std::string_view tool, std::string_view json) { what.annotations.remember(tool, json); });
    }
    if (!policy_->pins_any()) return;
    std::vector<PinTable::News> news;
    const auto pins = [this](std::string_view tool) { return policy_->pins(tool); };
    const bool is_readable = what.pins.observe(policy_->name(), response, pins, news);
    record_pins(what.audit, what.session, news);
    if (is_list && !is_readable) note_unreadable_list(what);
}

void CallJudge::note_unreadable_list(const Learning& what) const {
    if (policy_->pins_any() && what.pins.note_unreadable()) record_unreadable_list(what.audit, what.session, what.pins.server());
}

bool CallJudge::append_filtered(std::string_view response, std::string& out) const {
    if (!enforcing_ || !policy_->hides_any()) return false;
    const size_t before = out.size();
    filter_tools_list(
        response, [&](std::string_view tool) { return policy_->is_hidden(tool); }, out);
    return out.size() != before;
}

}  // namespace callgate
