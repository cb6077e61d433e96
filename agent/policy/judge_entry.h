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
    "The name of an argument is nearly that of one which the policy looks at; servers may take it for that.";

inline constexpr std::string_view kNotAllowed = " is not allowed by the policy.";
inline constexpr std::string_view kNotAllowedForThis = " is not allowed for this name by the policy.";
inline constexpr std::string_view kNotAvailable = " is not available under the policy.";

// True where nothing is allowed to the caller, because of what grants.json says of it.
bool caller_is_refused(const Caller& caller, Verdict& verdict);

// True where the rules of the entry, its limits apart, deny the call.
bool entry_denies(const ToolEntry& entry, const Call& call, const Caller& caller, Verdict& verdict);

// What names and conditions of a method's entry see: the uri of a resource, the name of a prompt, the id of a task; a prompt's
// arguments, and of every other method all of its params. Valid until this thread asks again.
Call call_of(const Message& message);

// `Tool "x" is not allowed by the policy.`, in memory of the thread; `This tool ...` where a caller made up an x that
// should not be quoted: a reason is read by a model.
std::string_view sentence(std::string_view noun, std::string_view name, std::string_view rest);

}  // namespace callgate
