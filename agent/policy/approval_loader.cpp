#include "policy/approval_loader.h"

#include <algorithm>

#include "base/limits.h"
#include "policy/duration.h"
#include "policy/webhook_url.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kDurationBytesMax = 32;

std::optional<int64_t> duration_s(const ObjectReader& reader, std::string_view key, int64_t min_s) {
    const std::optional<std::string> text = reader.text(key, kDurationBytesMax);
    if (!text) return std::nullopt;
    const std::optional<int64_t> seconds = parse_duration_s(*text);
    if (!seconds) {
        reader.problem(key, "expected a time such as \"30m\", \"90s\" or \"1h30m\"");
    } else if (*seconds < min_s || *seconds > kApprovalSecondsMax) {
        reader.problem(key, "must be " + std::to_string(min_s) + " s at least and " +
                                std::to_string(kApprovalSecondsMax / 86400) + " days at most");
    } else {
        return seconds;
    }
    return std::nullopt;
}

void load_ignored_meta(const ObjectReader& approvals, std::vector<std::string>& names) {
    const JsonValue* list = approvals.member("ignore_meta", Kind::array);
    if (!list) return;
    if (list->items.size() > kIgnoredMetaMax) {
        approvals.problem("ignore_meta", "has more than " + std::to_string(kIgnoredMetaMax) + " names");
        return;
    }
    for (size_t i = 0; i < list->items.size(); ++i) {
        const JsonValue& item = list->items[i];
        const std::string path = join_pointer(approvals.path_of("ignore_meta"), i);
        if (!expect(Kind::string, item, path, approvals.problems())) continue;
        if (item.string.empty() || item.string.size() > kNameBytesMax || has_control_character(item.string)) {
            approvals.problems().add(item.offset, path, "expected the name of a member of \"_meta\"");
            continue;
        }
        names.push_back(item.string);
    }
}

bool asks_for_approval(const ToolEntry& entry) {
    if (entry.approval) return true;
    return entry.rules && std::any_of(entry.rules->rules.begin(), entry.rules->rules.end(),
                                      [](const ConditionRule& rule) { return rule.kind == RuleKind::require_approval; });
}

}  // namespace

void load_approvals(const ObjectReader& policy, ApprovalRules& rules) {
    rules.timeout_s = duration_s(policy, "approval_timeout", 1).value_or(rules.timeout_s);
    const JsonValue* value = policy.member("approvals", Kind::object);
    if (!value) return;
    const ObjectReader approvals(*value, policy.path_of("approvals"), known::kApprovals, policy.problems());
    rules.dedupe_window_s = duration_s(approvals, "dedupe_window", 0).value_or(0);
    load_ignored_meta(approvals, rules.ignored_meta);
    const JsonValue* notify = approvals.member("notify", Kind::object);
    if (!notify) return;
    const ObjectReader channels(*notify, approvals.path_of("notify"), known::kNotify, policy.problems());
    const JsonValue* webhook = channels.member("webhook", Kind::object);
    if (!webhook) return;
    const ObjectReader reader(*webhook, channels.path_of("webhook"), known::kWebhook, policy.problems());
    if (!reader.require("url")) return;
    rules.webhook_url = reader.text("url").value_or("");
    if (std::string problem = webhook_url_problem(rules.webhook_url); !problem.empty()) reader.problem("url", std::move(problem));
}

void load_approval_terms(const ObjectReader& reader, ToolEntry& entry) {
    entry.approval_timeout_s = duration_s(reader, "approval_timeout", 1).value_or(0);
    entry.approval_hold_ms = reader.integer("hold_ms", 1, kDelayMillisecondsMax).value_or(0);
    if (asks_for_approval(entry)) return;
    for (std::string_view key : {"approval_timeout", "hold_ms"}) {
        if (reader.has(key))
            reader.problem(key, "means something only beside \"require_approval\" or \"action\": \"require_approval\"");
    }
}

}  // namespace callgate
