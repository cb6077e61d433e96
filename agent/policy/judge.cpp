// Judging one tools/call: hidden, then denied, then to be approved, then limits (reserved all or nothing), then allowed.
// What the policy says of the tool is asked before what it says of all tools.
#include "policy/judge_entry.h"
#include "policy/judge_limits.h"
#include "policy/policy.h"

namespace callgate {
namespace {

// The rules of the tool and those of all tools. Deny wins: no human is asked about a call that would be denied anyway.
bool rules_deny(const ToolEntry* own, const ToolEntry& all, const Call& call, const Caller& caller, Verdict& verdict) {
    const bool denied = own != nullptr && entry_denies(*own, call, caller, verdict);
    if (denied && verdict.code != kCodeApproval) return true;
    const std::string_view rule = verdict.rule, reason = verdict.reason;
    const bool all_deny = entry_denies(all, call, caller, verdict);
    if (denied && all_deny && verdict.code == kCodeApproval) verdict.deny(kCodeApproval, rule, reason);
    return denied || all_deny;
}

}  // namespace

Verdict Policy::judge_tool(const Call& call, const Caller& caller, int64_t now_ns,
                           CounterTable& counters) const {
    Verdict verdict;
    judge_tool(call, caller, now_ns, counters, verdict);
    return verdict;
}

void Policy::judge_tool(const Call& call, const Caller& caller, int64_t now_ns, CounterTable& counters,
                        Verdict& verdict) const {
    verdict.reset();

    const std::string_view tool = call.name;
    const CompiledPolicy& policy = *compiled_;
    if (policy.blanket) return verdict.deny(kCodeDenied, policy.blanket->rule, policy.blanket->reason);
    if (caller_is_refused(caller, verdict)) return;
    const std::string_view own_name = policy.own_name(tool);
    const ToolEntry* exact = policy.tools.find_exact(own_name);
    if (policy.is_hidden(own_name, exact) || (own_name != tool && policy.is_hidden(tool))) {
        return verdict.deny(kCodeDenied, kRuleHidden, sentence("Tool", tool, kNotAvailable));
    }
    const ToolEntry* entry = policy.tools.find_governing(own_name, exact);
    if (!entry && !policy.default_allow) {
        return verdict.deny(kCodeDenied, kRuleDefaultDeny, sentence("Tool", tool, kNotAllowed));
    }
    if (rules_deny(entry, policy.all_tools, call, caller, verdict)) return;
    static const std::vector<Limit> kNone;
    const std::vector<Limit>& own = entry ? entry->limits : kNone;
    if (own.empty() && policy.all_tools.limits.empty()) return;
    const std::string_view key = entry ? std::string_view(entry->key) : std::string_view();
    judge_limits(own, policy.all_tools.limits, {key, call.arguments, caller}, now_ns, counters, verdict);
}

}  // namespace callgate
