#include "policy/judge_entry.h"

#include <algorithm>
#include <array>

namespace callgate {
namespace {

// A name that a caller made up is quoted back only where it is short and plain: a reason is read by a model.
constexpr size_t kQuotedNameBytesMax = 64;

// One per thread: reused by every call, so that judging allocates nothing.
thread_local std::array<char, 160> reason_buffer;

bool is_plain(std::string_view name) {
    return !name.empty() && name.size() <= kQuotedNameBytesMax && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' ||
               c == '/';
    });
}

}  // namespace

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

bool has_arguments(std::string_view method) { return method == "tools/call" || method == "prompts/get"; }

bool caller_is_refused(const Caller& caller, Verdict& verdict) {
    switch (caller.refusal) {
        case GrantRefusal::none: return false;
        case GrantRefusal::no_grant: verdict.deny(kCodeDenied, "(no grant)", "Nothing is granted to this client."); return true;
        case GrantRefusal::tie:
            verdict.deny(kCodeDenied, "(grant tie)",
                         "Several grants name this client equally well; nothing is allowed until one does.");
            return true;
    }
    return false;
}

bool entry_denies(const ToolEntry& entry, const Call& call, const Caller& caller, ApprovalNeed& need, Verdict& verdict) {
    if (entry.denial) {
        verdict.deny(kCodeDenied, entry.denial->rule, entry.denial->reason);
        return true;
    }
    if (entry.rules) {
        // Rules that ask for approval come last, and one approval is for all of them.
        const RuleSet::Finding found = entry.rules->first_denial(call, caller);
        if (!found.is_clear) {
            verdict.deny(kCodeDenied, kRuleUnclear, kUnclear);
            return true;
        }
        if (found.rule != nullptr && found.rule->kind != RuleKind::require_approval) {
            verdict.deny(kCodeDenied, found.name, found.rule->reason);
            return true;
        }
        if (found.rule != nullptr && need.entry == nullptr) need = {&entry, found.name, found.rule->reason};
    }
    if (entry.approval && need.entry == nullptr) need = {&entry, entry.approval->rule, entry.approval->reason};
    return false;
}

bool lacks_approval(const ApprovalNeed& need, const Call& call, const Judging& judging, Verdict& verdict) {
    if (need.entry == nullptr) return false;
    if (judging.caller.approvals == nullptr) {
        verdict.deny(kCodeApproval, need.rule, need.reason);
        return true;
    }
    const CompiledPolicy& policy = judging.policy;
    const int64_t own_timeout_s = need.entry->approval_timeout_s;
    ApprovalQuestion question;
    question.method = judging.method;
    question.tool = call.name;
    question.arguments = call.arguments;
    question.params = call.params;
    question.is_carried = judging.is_carried;
    question.are_params = !judging.is_carried && !has_arguments(judging.method);
    question.policy = policy.name;
    question.revision = policy.revision;
    question.rules = &policy.approvals;
    question.timeout_s = own_timeout_s > 0 ? own_timeout_s : policy.approvals.timeout_s;
    question.hold_ms = need.entry->approval_hold_ms;
    question.rule = need.rule;
    question.reason = need.reason;
    question.caller = &judging.caller;
    return !judging.caller.approvals->is_approved(question, judging.now_ns, verdict);
}

void give_back_if_denied(const Caller& caller, Verdict& verdict) {
    if (verdict.action == Action::allow || verdict.approvals.empty()) return;
    caller.approvals->give_back(verdict.approvals);
    verdict.approvals.clear();
}

}  // namespace callgate
