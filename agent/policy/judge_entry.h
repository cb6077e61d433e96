// What judging tools and judging methods share: the rules of one entry, and the sentences of denials.
#pragma once
#include <string_view>

#include "jsonrpc/answer.h"
#include "policy/compiled_policy.h"

namespace callgate {

inline constexpr std::string_view kRuleHidden = "(hidden)";
inline constexpr std::string_view kRuleDefaultDeny = "(default deny)";

inline constexpr std::string_view kRuleUnclear = "(unclear arguments)";
inline constexpr std::string_view kUnclear =
    "An argument has nearly the name, or nearly the value, that the policy looks for; servers may take it for that.";
inline constexpr std::string_view kUnclearName =
    "What is asked for is named twice, or nearly where it should be; servers may differ in what they take.";

inline constexpr std::string_view kRuleUnclearMethod = "(unclear method)";
inline constexpr std::string_view kIsNearlyAnother =
    " is nearly another one, which the policy decides about; servers may take it for that.";

inline constexpr std::string_view kNotAllowed = " is not allowed by the policy.";
inline constexpr std::string_view kNotAllowedForThis = " is not allowed for this name by the policy.";
inline constexpr std::string_view kNotAvailable = " is not available under the policy.";

// True where nothing is allowed to the caller, because of what grants.json says of it.
bool caller_is_refused(const Caller& caller, Verdict& verdict);

// What a call is judged in.
struct Judging {
    const CompiledPolicy& policy;
    const Caller& caller;
    int64_t now_ns;
    std::string_view method = "tools/call";
    bool is_carried = false;  // one of several calls of one message
};

// What a human must approve, and why; nothing where `entry` is null.
struct ApprovalNeed {
    const ToolEntry* entry = nullptr;
    std::string_view rule, reason;
};

// True where the rules of the entry deny the call whatever a human says. Else `need` says whether one is to be asked: what
// it says already stays.
bool entry_denies(const ToolEntry& entry, const Call& call, const Caller& caller, ApprovalNeed& need, Verdict& verdict);
// Asks, after everything that may deny and before the limits. True where the call is denied for it; else `verdict` may have
// taken an approval.
bool lacks_approval(const ApprovalNeed& need, const Call& call, const Judging& judging, Verdict& verdict);
// Approvals of a call that is denied all the same are as if nobody had asked for them.
void give_back_if_denied(const Caller& caller, Verdict& verdict);

// Whether a method's params have the member `arguments`, which conditions look at; of any other they look at the params.
bool has_arguments(std::string_view method);
// What names and conditions of a method's entry see: the uri of a resource, the name of a prompt, the id of a task; a prompt's
// arguments, and of every other method all of its params. Valid until this thread asks again.
Call call_of(const Message& message);

// `Tool "x" is not allowed by the policy.`, in memory of the thread; `This tool ...` where a caller made up an x that
// should not be quoted: a reason is read by a model.
std::string_view sentence(std::string_view noun, std::string_view name, std::string_view rest);

}  // namespace callgate
