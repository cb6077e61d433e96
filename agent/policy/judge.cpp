// Judging one tools/call: hidden, then denied, then to be approved, then limits (reserved all or nothing), then allowed.
// What the policy says of the tool is asked before what it says of all tools.
#include "policy/judge_entry.h"
#include "policy/judge_limits.h"
#include "policy/policy.h"
#include "policy/session_pins.h"

namespace callgate {
namespace {

constexpr std::string_view kRulePin = "/pin";
constexpr std::string_view kRedefined = " is defined otherwise than when it was pinned; a human must look at it.";

// By its other name it is the same tool, whatever the list says of that.
bool is_redefined(const CompiledPolicy& policy, const ToolEntry* entry, std::string_view tool, std::string_view own_name,
                  const Caller& caller) {
    if (!policy.pins(entry) || caller.pins == nullptr) return false;
    return caller.pins->is_changed(policy.name, tool) || (own_name != tool && caller.pins->is_changed(policy.name, own_name));
}

}  // namespace

Verdict Policy::judge_tool(const Call& call, const Caller& caller, int64_t now_ns, CounterTable& counters) const {
    Verdict verdict;
    judge_tool(call, caller, now_ns, counters, verdict);
    return verdict;
}

void Policy::judge_tool(const Call& call, const Caller& caller, int64_t now_ns, CounterTable& counters, Verdict& verdict) const {
    judge_call(call, {*compiled_, caller, now_ns}, counters, verdict);
}

void Policy::judge_call(const Call& called, const Judging& judging, CounterTable& counters, Verdict& verdict) const {
    verdict.reset();

    const std::string_view tool = called.name;
    const CompiledPolicy& policy = judging.policy;
    if (policy.blanket) return verdict.deny(kCodeDenied, policy.blanket->rule, policy.blanket->reason);
    if (caller_is_refused(judging.caller, verdict)) return;
    const std::string_view own_name = policy.own_name(tool);
    const ToolEntry* exact = policy.tools.find_exact(own_name);
    if (policy.is_hidden(own_name, exact) || (own_name != tool && policy.is_hidden(tool))) {
        return verdict.deny(kCodeDenied, kRuleHidden, sentence("Tool", tool, kNotAvailable));
    }
    const ToolEntry* entry = policy.tools.find_governing(own_name, exact);
    if (!entry && !policy.default_allow) {
        return verdict.deny(kCodeDenied, kRuleDefaultDeny, sentence("Tool", tool, kNotAllowed));
    }
    if (policy.pins_any && is_redefined(policy, entry, tool, own_name, judging.caller)) {
        return verdict.deny(kCodeDenied, entry && entry->pin ? entry->pin->rule : kRulePin, sentence("Tool", tool, kRedefined));
    }
    Call call = called;
    if (own_name != tool) call.own_name = own_name;
    // Deny wins: no human is asked about a call that would be denied anyway.
    ApprovalNeed need;
    if (entry && entry_denies(*entry, call, judging.caller, need, verdict)) return;
    if (entry_denies(policy.all_tools, call, judging.caller, need, verdict)) return;
    if (lacks_approval(need, call, judging, verdict)) return;
    static const std::vector<Limit> kNone;
    const std::vector<Limit>& own = entry ? entry->limits : kNone;
    if (own.empty() && policy.all_tools.limits.empty()) return;
    const std::string_view key = entry ? std::string_view(entry->key) : std::string_view();
    judge_limits(own, policy.all_tools.limits, {key, call.arguments, judging.caller}, judging.now_ns, counters, verdict);
    give_back_if_denied(judging.caller, verdict);
}

}  // namespace callgate
