// Judging one message: hidden, then denied, then to be approved, then limits (reserved all or nothing), then allowed.
#include <algorithm>
#include <array>

#include "jsonrpc/answer.h"
#include "policy/compiled_policy.h"
#include "policy/judge_limits.h"
#include "policy/policy.h"

namespace callgate {
namespace {

constexpr std::string_view kRuleHidden = "(hidden)";
constexpr std::string_view kRuleDefaultDeny = "(default deny)";

// A name that a caller made up is quoted back only where it is short and plain: a reason is read by a model.
constexpr size_t kQuotedNameBytesMax = 64;

// One per thread: reused by every call, so that judging allocates nothing.
thread_local std::array<char, 160> reason_buffer;

bool is_plain(std::string_view name) {
    return !name.empty() && name.size() <= kQuotedNameBytesMax &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '-' || c == '.' || c == '/';
           });
}

// `Tool "x" is not allowed by the policy.`, in the thread's buffer; `This tool ...` where x is not to be
// quoted.
std::string_view sentence(std::string_view noun, std::string_view name, std::string_view rest) {
    char* out = reason_buffer.data();
    const auto append = [&](std::string_view part) { out = std::copy(part.begin(), part.end(), out); };
    if (is_plain(name)) {
        append(noun);
        append(" \"");
        append(name);
        append("\"");
    } else {
        append("This ");
        *out++ = static_cast<char>(noun[0] | 0x20);
        append(noun.substr(1));
    }
    append(rest);
    return {reason_buffer.data(), out};
}

// True where the rules of the tool, its limits apart, deny the call.
bool entry_denies(const ToolEntry& entry, const Call& call, const Caller& caller, Verdict& verdict) {
    if (entry.denial) {
        verdict.deny(kCodeDenied, entry.denial->rule, entry.denial->reason);
        return true;
    }
    if (entry.rules) {
        const RuleSet::Finding found = entry.rules->first_denial(call, caller);
        if (found.rule != nullptr) {
            const bool approvable = found.rule->kind == RuleKind::require_approval;
            verdict.deny(approvable ? kCodeApproval : kCodeDenied, found.name, found.rule->reason);
            return true;
        }
    }
    if (entry.approval) verdict.deny(kCodeApproval, entry.approval->rule, entry.approval->reason);
    return entry.approval.has_value();
}

constexpr std::string_view kNotAllowed = " is not allowed by the policy.";
constexpr std::string_view kNotAvailable = " is not available under the policy.";

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
    const ToolEntry* exact = policy.find_exact(tool);
    if (policy.is_hidden(tool, exact)) {
        return verdict.deny(kCodeDenied, kRuleHidden, sentence("Tool", tool, kNotAvailable));
    }
    const ToolEntry* entry = policy.find_governing(tool, exact);
    if (!entry && !policy.default_allow) {
        return verdict.deny(kCodeDenied, kRuleDefaultDeny, sentence("Tool", tool, kNotAllowed));
    }
    if (entry && entry_denies(*entry, call, caller, verdict)) return;
    static const std::vector<Limit> kNone;
    const std::vector<Limit>& own = entry ? entry->limits : kNone;
    if (own.empty() && policy.all_limits.empty()) return;
    const std::string_view key = entry ? std::string_view(entry->key) : std::string_view();
    judge_limits(own, policy.all_limits, {key, call.arguments, caller}, now_ns, counters, verdict);
}

Verdict Policy::judge_method(std::string_view method) const {
    Verdict verdict;
    if (compiled_->blanket) {
        constexpr std::array<std::string_view, 4> kHandshake = {"initialize", "ping", "server/discover",
                                                                "tools/list"};
        const bool harmless = method.starts_with("notifications/") ||
                              std::find(kHandshake.begin(), kHandshake.end(), method) != kHandshake.end();
        if (!harmless) verdict.deny(kCodeDenied, compiled_->blanket->rule, compiled_->blanket->reason);
        return verdict;
    }
    // A method that may carry calls of tools in a form that this version cannot read.
    const bool is_unknown_carrier =
        method.starts_with("tools/") && method != "tools/list" && method != "tools/call";
    if (is_unknown_carrier && !compiled_->default_allow) {
        verdict.deny(kCodeDenied, kRuleDefaultDeny, sentence("Method", method, kNotAllowed));
    }
    return verdict;
}

}  // namespace callgate
