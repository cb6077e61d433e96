// Judging what is no tools/call: other methods, the calls that some of them carry, and what a server asks of a client.
#include <algorithm>
#include <array>

#include "policy/judge_entry.h"
#include "policy/judge_limits.h"
#include "policy/params_reader.h"
#include "policy/policy.h"

namespace callgate {
namespace {

constexpr std::string_view kRuleUnreadable = "(unreadable calls)";

// One per thread: reused by every call.
struct Scratch {
    std::string name, uri;
    Verdict call;
};
thread_local Scratch scratch;

// A prompt is named by its name, a resource by its uri: which of the two a server takes, if both are there, is its own affair.
FoundText completed_name(std::string_view params) {
    static constexpr std::array<std::string_view, 2> kName = {"ref", "name"}, kUri = {"ref", "uri"};
    const FoundText name = text_at(params, kName, scratch.name), uri = text_at(params, kUri, scratch.uri);
    const bool is_one = name.text.empty() || uri.text.empty();
    return {name.text.empty() ? uri.text : name.text, name.is_clear && uri.is_clear && is_one};
}

// What names in a policy are compared with. The members that the parser knows, "name" and "uri", are there in one spelling.
FoundText name_of(const Message& message) {
    static constexpr std::array<std::string_view, 1> kTask = {"taskId"};
    if (message.method.starts_with("resources/")) return {message.uri};
    if (message.method.starts_with("tasks/")) return text_at(message.params, kTask, scratch.name);
    if (message.method == "completion/complete") return completed_name(message.params);
    return {message.name.empty() ? message.uri : message.name};
}

bool is_harmless(std::string_view method) {
    constexpr std::array<std::string_view, 4> kHandshake = {"initialize", "ping", "server/discover", "tools/list"};
    return method.starts_with("notifications/") || std::find(kHandshake.begin(), kHandshake.end(), method) != kHandshake.end();
}

void deny_unclear_method(std::string_view method, Verdict& verdict) {
    verdict.deny(kCodeDenied, kRuleUnclearMethod, sentence("Method", method, kIsNearlyAnother));
}

// The rules of a method, then those of the name within it, then the limits of both.
void judge_entry(const MethodEntry& entry, const Message& message, const Judging& judging, CounterTable& counters,
                 Verdict& verdict) {
    static const std::vector<Limit> kNone;
    const Call call = call_of(message);
    const CompiledPolicy& policy = judging.policy;
    ApprovalNeed need;
    if (entry_denies(entry.own, call, judging.caller, need, verdict)) return;
    const ToolEntry* named = nullptr;
    if (entry.has_names) {
        if (!call.has_clear_name) return verdict.deny(kCodeDenied, kRuleUnclear, kUnclearName);
        named = entry.names.find_governing(call.name, entry.names.find_exact(call.name));
        if (named == nullptr && !policy.default_allow) {
            return verdict.deny(kCodeDenied, kRuleDefaultDeny, sentence("Method", message.method, kNotAllowedForThis));
        }
        if (named != nullptr && entry_denies(*named, call, judging.caller, need, verdict)) return;
    }
    if (lacks_approval(need, call, judging, verdict)) return;
    const std::vector<Limit>& own = named ? named->limits : kNone;
    if (own.empty() && entry.own.limits.empty()) return;
    const std::string_view key = named ? named->key : entry.own.key;
    judge_limits(own, entry.own.limits, {key, call.arguments, judging.caller}, judging.now_ns, counters, verdict);
}

}  // namespace

Call call_of(const Message& message) {
    const FoundText name = name_of(message);
    return {name.text, has_arguments(message.method) ? message.arguments : message.params, message.params, name.is_clear};
}

// All of them are allowed and charged, or none is. Where several need approval, the first that has none is asked for.
void Policy::judge_carried_calls(const std::vector<PathStep>& path, const Message& message, const Caller& caller, int64_t now_ns,
                                 CounterTable& counters, Verdict& verdict) const {
    Verdict& call_verdict = scratch.call;
    const bool readable = read_calls(message.params, path, [&](const Call& call) {
        const Call carried{call.name, call.arguments, message.params};
        judge_call(carried, {*compiled_, caller, now_ns, message.method, true}, counters, call_verdict);
        verdict.approvals.insert(verdict.approvals.end(), call_verdict.approvals.begin(), call_verdict.approvals.end());
        verdict.charged.insert(verdict.charged.end(), call_verdict.charged.begin(), call_verdict.charged.end());
        if (call_verdict.action == Action::allow) return true;
        verdict.deny(call_verdict.code, call_verdict.rule, call_verdict.reason);
        verdict.retry_after_ms = call_verdict.retry_after_ms;
        verdict.max_delay_ms = call_verdict.max_delay_ms;
        verdict.delay_key = call_verdict.delay_key;
        verdict.approval = call_verdict.approval;
        verdict.approval_expires_ns = call_verdict.approval_expires_ns;
        return false;
    });
    if (verdict.action == Action::allow && !readable) {
        verdict.deny(kCodeDenied, kRuleUnreadable, "The calls in this message cannot be read as every server would read them.");
    }
    if (verdict.action == Action::allow) return;
    counters.roll_back(verdict.charged);
    verdict.charged.clear();
    give_back_if_denied(caller, verdict);
}

void Policy::judge_method(const Message& message, const Caller& caller, int64_t now_ns, CounterTable& counters,
                          Verdict& verdict) const {
    verdict.reset();
    const CompiledPolicy& policy = *compiled_;
    if (policy.blanket) {
        if (!is_harmless(message.method)) verdict.deny(kCodeDenied, policy.blanket->rule, policy.blanket->reason);
        return;
    }
    if (caller.refusal != GrantRefusal::none && !is_harmless(message.method) && caller_is_refused(caller, verdict)) return;
    if (policy.is_nearly_known(message.method)) return deny_unclear_method(message.method, verdict);
    const MethodEntry* entry = policy.find_method(message.method);
    if (entry != nullptr) judge_entry(*entry, message, {policy, caller, now_ns, message.method}, counters, verdict);
    if (verdict.action == Action::deny) return give_back_if_denied(caller, verdict);
    const std::vector<PathStep>* carrier = policy.find_carrier(message.method);
    if (carrier != nullptr) return judge_carried_calls(*carrier, message, caller, now_ns, counters, verdict);
    // A method that may carry calls of tools in a form that the policy does not name.
    const bool is_unknown_carrier =
        message.method.starts_with("tools/") && message.method != "tools/list" && message.method != "tools/call";
    if (is_unknown_carrier && entry == nullptr && !policy.default_allow) {
        verdict.deny(kCodeDenied, kRuleDefaultDeny, sentence("Method", message.method, kNotAllowed));
    }
}

void Policy::judge_server_message(const Message& message, const Caller& caller, int64_t now_ns, CounterTable& counters,
                                  Verdict& verdict) const {
    verdict.reset();
    if (compiled_->is_nearly_known(message.method)) return deny_unclear_method(message.method, verdict);
    const MethodEntry* entry = compiled_->find_method(message.method);
    if (entry != nullptr) judge_entry(*entry, message, {*compiled_, caller, now_ns, message.method}, counters, verdict);
    give_back_if_denied(caller, verdict);
}

}  // namespace callgate
