#include "policy/known_keys.h"

#include <array>

namespace callgate {
namespace {

using Word = std::string_view;

constexpr std::array<Word, 17> kPolicyKeys = {
    "version", "default", "hide",        "all_tools", "tools",   "aliases",      "methods",  "call_methods",
    "server",  "mode",    "on_blind",    "deny_as",   "$schema", "description", "approvals", "approval_timeout",
    kCommentKey};

constexpr std::array<Word, 6> kServerKeys = {"package", "command", "exe_sha256", "user", "listen", "path"};
constexpr std::array<Word, 2> kServerLater = {"image", "unit"};

constexpr std::array<Word, 1> kAllToolsKeys = {"limits"};

constexpr std::array<Word, 10> kToolKeys = {"limits", "require",    "deny_if",          "action",
                                           "reason", "rate_limit", "require_approval", "approval_timeout",
                                           "hold_ms", kCommentKey};
constexpr std::array<Word, 3> kToolLater = {"rules", "pin", "count_failed"};
constexpr std::array<Word, 11> kMethodKeys = {"limits",     "require",          "deny_if", "action",   "reason",
                                             "rate_limit", "require_approval", "approval_timeout", "hold_ms", "names", kCommentKey};

constexpr std::array<Word, 11> kLimitKeys = {"counter",        "window",       "max",       "scope",
                                             "sliding",        "increment",    "increment_from",
                                             "count_failed",   "on_exceed",    "max_delay_ms",
                                             "max_in_flight"};

constexpr std::array<Word, 2> kConditionRuleKeys = {"conditions", "on_deny"};
constexpr std::array<Word, 3> kConditionKeys = {"path", "op", "value"};
constexpr std::array<Word, 2> kRateLimitKeys = {"max", "window"};
constexpr std::array<Word, 2> kApprovalsKeys = {"dedupe_window", "notify"};
constexpr std::array<Word, 1> kNotifyKeys = {"webhook"};
constexpr std::array<Word, 1> kWebhookKeys = {"url"};

}  // namespace

namespace known {
const KnownKeys kPolicy{"policy", kPolicyKeys, {}};
const KnownKeys kServer{"server", kServerKeys, kServerLater};
const KnownKeys kAllTools{"all_tools", kAllToolsKeys, {}};
const KnownKeys kTool{"tool", kToolKeys, kToolLater};
const KnownKeys kMethod{"method", kMethodKeys, {}};
const KnownKeys kLimit{"limit", kLimitKeys, {}};
const KnownKeys kConditionRule{"condition_rule", kConditionRuleKeys, {}};
const KnownKeys kCondition{"condition", kConditionKeys, {}};
const KnownKeys kRateLimit{"rate_limit", kRateLimitKeys, {}};
const KnownKeys kApprovals{"approvals", kApprovalsKeys, {}};
const KnownKeys kNotify{"notify", kNotifyKeys, {}};
const KnownKeys kWebhook{"webhook", kWebhookKeys, {}};
}  // namespace known

std::span<const KnownKeys* const> all_known_keys() {
    static constexpr std::array<const KnownKeys*, 12> kAll = {
        &known::kPolicy, &known::kServer, &known::kAllTools,      &known::kTool, &known::kMethod,
        &known::kLimit,  &known::kConditionRule, &known::kCondition, &known::kRateLimit,
        &known::kApprovals, &known::kNotify, &known::kWebhook};
    return kAll;
}

}  // namespace callgate
