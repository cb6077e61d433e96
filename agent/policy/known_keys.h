// The vocabulary of the native dialect: which keys each kind of object may have. The loader, its error
// messages and the tests that hold policies/*.schema.json against the loader all read these tables.
#pragma once
#include <span>
#include <string_view>

namespace callgate {

struct KnownKeys {
    std::string_view object;                  // name of its definition in the JSON Schema
    std::span<const std::string_view> keys;   // accepted
    std::span<const std::string_view> later;  // part of the language, refused with "not supported by this version"
};

namespace known {
extern const KnownKeys kPolicy, kServer, kAllTools, kTool, kMethod, kNameInMethod, kLimit, kConditionRule, kCondition, kRateLimit,
    kApprovals, kNotify, kWebhook;
extern const KnownKeys kGrants, kGrant, kGrantMatch;
}  // namespace known
std::span<const KnownKeys* const> all_known_keys();    // of a policy
std::span<const KnownKeys* const> grant_known_keys();  // of grants.json

// The key of a remark, which means nothing: of a policy, a tool, a rule, a limit.
inline constexpr std::string_view kCommentKey = "$comment";
// A tool key or hidden name that begins with this is a pattern.
inline constexpr std::string_view kGlobPrefix = "glob:";
// A key of "methods" that ends with this names a family: "tasks/*".
inline constexpr std::string_view kFamilyEnd = "/*";

}  // namespace callgate
