#include "policy/known_keys.h"

#include <array>

namespace callgate {
namespace {

using Word = std::string_view;

constexpr std::array<Word, 16> kPolicyKeys = {
    "version", "default", "hide",        "all_tools", "tools",   "aliases",      "methods",  "call_methods",
    "server",  "mode",    "on_blind",    "deny_as",   "$schema", "description", "pin",      kCommentKey};
constexpr std::array<Word, 2> kPolicyLater = {"approvals", "approval_timeout"};

constexpr std::array<Word, 8> kServerKeys = {"package", "command", "exe_sha256", "user", "listen", "path", "image", "unit"};

constexpr std::array<Word, 1> kAllToolsKeys = {"limits"};

constexpr std::array<Word, 9> kToolKeys = {"limits", "require",    "deny_if",          "action",
                                           "reason", "rate_limit", "require_approval", "pin", kCommentKey};
constexpr std::array<Word, 3> kToolLater = {"rules", "hold_ms", "count_failed"};
constexpr std::array<Word, 9> kMethodKeys = {"limits",     "require",          "deny_if", "action",   "reason",
                                             "rate_limit", "require_approval", "names",   kCommentKey};

constexpr std::array<Word, 11> kLimitKeys = {"counter",        "window",       "max",       "scope",
                                             "sliding",        "increment",    "increment_from",
                                             "count_failed",   "on_exceed",    "max_delay_ms",
                                             "max_in_flight"};

constexpr std::array<Word, 2> kConditionRuleKeys = {"conditions", "on_deny"};
constexpr std::array<Word, 3> kConditionKeys = {"path", "op", "value"};
constexpr std::array<Word, 2> kRateLimitKeys = {"max", "window"};

constexpr std::array<Word, 6> kGrantsKeys = {"version", "default", "grants", "$schema", "description", kCommentKey};
constexpr std::array<Word, 4> kGrantKeys = {"match", "labels", "description", kCommentKey};
constexpr std::array<Word, 9> kGrantMatchKeys = {"user", "group",     "exe",   "exe_sha256", "parents",
                                                 "cgroup", "unit", "container", "client"};

}  // namespace

namespace known {
const KnownKeys kPolicy{"policy", kPolicyKeys, kPolicyLater};
const KnownKeys kServer{"server", kServerKeys, {}};
const KnownKeys kAllTools{"all_tools", kAllToolsKeys, {}};
const KnownKeys kTool{"tool", kToolKeys, kToolLater};
const KnownKeys kMethod{"method", kMethodKeys, {}};
const KnownKeys kLimit{"limit", kLimitKeys, {}};
const KnownKeys kConditionRule{"condition_rule", kConditionRuleKeys, {}};
const KnownKeys kCondition{"condition", kConditionKeys, {}};
const KnownKeys kRateLimit{"rate_limit", kRateLimitKeys, {}};
const KnownKeys kGrants{"grants", kGrantsKeys, {}};
const KnownKeys kGrant{"grant", kGrantKeys, {}};
const KnownKeys kGrantMatch{"match", kGrantMatchKeys, {}};
}  // namespace known

std::span<const KnownKeys* const> all_known_keys() {
    static constexpr std::array<const KnownKeys*, 9> kAll = {
        &known::kPolicy, &known::kServer, &known::kAllTools,      &known::kTool, &known::kMethod,
        &known::kLimit,  &known::kConditionRule, &known::kCondition, &known::kRateLimit};
    return kAll;
}

std::span<const KnownKeys* const> grant_known_keys() {
    static constexpr std::array<const KnownKeys*, 3> kAll = {&known::kGrants, &known::kGrant, &known::kGrantMatch};
    return kAll;
}

}  // namespace callgate
