#include "policy/known_keys.h"

#include <array>

namespace callgate {
namespace {

using Word = std::string_view;

constexpr std::array<Word, 19> kPolicyKeys = {"version",          "default", "hide",         "all_tools",   "tools",
                                              "aliases",          "methods", "call_methods", "server",      "mode",
                                              "on_blind",         "deny_as", "$schema",      "description", "approvals",
                                              "approval_timeout", "pin",     "fail",         kCommentKey};

constexpr std::array<Word, 8> kServerKeys = {"package", "command", "exe_sha256", "user", "listen", "path", "image", "unit"};

constexpr std::array<Word, 5> kAllToolsKeys = {"limits", "require", "deny_if", "require_approval", kCommentKey};

constexpr std::array<Word, 11> kToolKeys = {"limits",           "require",          "deny_if", "action", "reason",   "rate_limit",
                                            "require_approval", "approval_timeout", "hold_ms", "pin",    kCommentKey};
constexpr std::array<Word, 1> kToolLater = {"count_failed"};
constexpr std::array<Word, 11> kMethodKeys = {"limits",  "require",    "deny_if",          "action",
                                              "reason",  "rate_limit", "require_approval", "approval_timeout",
                                              "hold_ms", "names",      kCommentKey};

constexpr std::array<Word, 10> kNameInMethodKeys = {"limits",     "require",          "deny_if",          "action",  "reason",
                                                    "rate_limit", "require_approval", "approval_timeout", "hold_ms", kCommentKey};

constexpr std::array<Word, 14> kLimitKeys = {
    "counter",      "window",           "max",       "scope",        "sliding",       "increment", "increment_from",
    "count_failed", "count_unanswered", "on_exceed", "max_delay_ms", "max_in_flight", "on_deny",   kCommentKey};

constexpr std::array<Word, 3> kConditionRuleKeys = {"conditions", "on_deny", kCommentKey};
constexpr std::array<Word, 3> kConditionKeys = {"path", "op", "value"};
constexpr std::array<Word, 2> kRateLimitKeys = {"max", "window"};
constexpr std::array<Word, 3> kApprovalsKeys = {"dedupe_window", "ignore_meta", "notify"};
constexpr std::array<Word, 1> kNotifyKeys = {"webhook"};
constexpr std::array<Word, 1> kWebhookKeys = {"url"};

constexpr std::array<Word, 6> kGrantsKeys = {"version", "default", "grants", "$schema", "description", kCommentKey};
constexpr std::array<Word, 4> kGrantKeys = {"match", "labels", "description", kCommentKey};
constexpr std::array<Word, 9> kGrantMatchKeys = {"user",   "group", "exe",       "exe_sha256", "parents",
                                                 "cgroup", "unit",  "container", "client"};

}  // namespace

namespace known {
const KnownKeys kPolicy{"policy", kPolicyKeys, {}};
const KnownKeys kServer{"server", kServerKeys, {}};
const KnownKeys kAllTools{"all_tools", kAllToolsKeys, {}};
const KnownKeys kTool{"tool", kToolKeys, kToolLater};
const KnownKeys kMethod{"method", kMethodKeys, {}};
const KnownKeys kNameInMethod{"name_in_method", kNameInMethodKeys, kToolLater};
const KnownKeys kLimit{"limit", kLimitKeys, {}};
const KnownKeys kConditionRule{"condition_rule", kConditionRuleKeys, {}};
const KnownKeys kCondition{"condition", kConditionKeys, {}};
const KnownKeys kRateLimit{"rate_limit", kRateLimitKeys, {}};
const KnownKeys kApprovals{"approvals", kApprovalsKeys, {}};
const KnownKeys kNotify{"notify", kNotifyKeys, {}};
const KnownKeys kWebhook{"webhook", kWebhookKeys, {}};
const KnownKeys kGrants{"grants", kGrantsKeys, {}};
const KnownKeys kGrant{"grant", kGrantKeys, {}};
const KnownKeys kGrantMatch{"match", kGrantMatchKeys, {}};
}  // namespace known

std::span<const KnownKeys* const> all_known_keys() {
    static constexpr std::array<const KnownKeys*, 13> kAll = {
        &known::kPolicy,       &known::kServer, &known::kAllTools,      &known::kTool,      &known::kMethod,
        &known::kNameInMethod, &known::kLimit,  &known::kConditionRule, &known::kCondition, &known::kRateLimit,
        &known::kApprovals,    &known::kNotify, &known::kWebhook};
    return kAll;
}

std::span<const KnownKeys* const> grant_known_keys() {
    static constexpr std::array<const KnownKeys*, 3> kAll = {&known::kGrants, &known::kGrant, &known::kGrantMatch};
    return kAll;
}

}  // namespace callgate
