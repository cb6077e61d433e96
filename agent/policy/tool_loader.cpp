// What may stand under one tool: limits, deny_if and require of the hosted form, action and rate_limit of the
// FAQ form.
#include <algorithm>
#include <array>

#include "policy/loader.h"
#include "policy/nearest_key.h"
#include "policy/object_reader.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kCounterNameBytesMax = 128;
constexpr std::string_view kRateLimitCounter = "rate_limit";

constexpr std::array<std::string_view, 3> kScopesLater = {"tool", "host", "fleet"};
constexpr std::array<std::string_view, 1> kActionsLater = {"require_approval"};
enum class ToolAction : uint8_t { allow, deny };
constexpr std::array<std::pair<std::string_view, ToolAction>, 2> kActions = {
    {{"allow", ToolAction::allow}, {"deny", ToolAction::deny}}};

std::string default_reason(std::string_view tool) {
    return "Tool " + in_quotes(tool) + " is denied by the policy.";
}

// A member that may be missing, whose value is an array of objects.
template <typename Each>
void each_object(const JsonValue& array, const std::string& path, ProblemList& problems, Each each) {
    for (size_t i = 0; i < array.items.size(); ++i) {
        const std::string item_path = join_pointer(path, i);
        if (expect(Kind::object, array.items[i], item_path, problems)) each(array.items[i], item_path);
    }
}

// Conditions that hold for every call: [] is all this version has. Returns the text for a denial.
std::string load_condition(const JsonValue& value, const std::string& path, ProblemList& problems) {
    const ObjectReader reader(value, path, known::kCondition, problems);
    reader.require("conditions");
    const JsonValue* conditions = reader.member("conditions", Kind::array);
    if (conditions && !conditions->items.empty()) {
        problems.add(conditions->items[0].offset, reader.path_of("conditions"),
                     "conditions are not supported by this version; only [], which always holds");
    }
    return reader.text("on_deny").value_or("");
}

void load_denials(const ObjectReader& reader, ToolEntry& entry) {
    if (const JsonValue* require = reader.member("require", Kind::array)) {
        // An empty list of conditions always holds, so what requires it denies nothing.
        each_object(*require, reader.path_of("require"), reader.problems(),
                    [&](const JsonValue& item, const std::string& path) {
                        load_condition(item, path, reader.problems());
                    });
    }
    if (const JsonValue* deny_if = reader.member("deny_if", Kind::array)) {
        each_object(*deny_if, reader.path_of("deny_if"), reader.problems(),
                    [&](const JsonValue& item, const std::string& path) {
                        std::string reason = load_condition(item, path, reader.problems());
                        if (entry.denial) return;
                        if (reason.empty()) reason = default_reason(entry.key);
                        entry.denial = FixedDenial{reader.path_of("deny_if"), std::move(reason)};
                    });
    }
}

void load_action(const ObjectReader& reader, ToolEntry& entry) {
    const std::optional<ToolAction> action = reader.choice("action", kActions, kActionsLater);
    std::string reason = reader.text("reason").value_or("");
    if (action != ToolAction::deny || entry.denial) return;
    if (reason.empty()) reason = default_reason(entry.key);
    entry.denial = FixedDenial{reader.path_of("action"), std::move(reason)};
}

bool has_counter(const std::vector<Limit>& limits, std::string_view counter) {
    return std::any_of(limits.begin(), limits.end(),
                       [&](const Limit& limit) { return limit.counter == counter; });
}

void load_rate_limit(const ObjectReader& tool, ToolEntry& entry) {
    const JsonValue* value = tool.member("rate_limit", Kind::object);
    if (!value) return;
    const ObjectReader reader(*value, tool.path_of("rate_limit"), known::kRateLimit, tool.problems());
    reader.require("max");
    reader.require("window");
    if (has_counter(entry.limits, kRateLimitCounter)) {
        tool.problem("rate_limit",
                     "counter \"rate_limit\" is already used by a member of \"limits\"; rename that");
    }
    Limit limit;
    limit.counter = kRateLimitCounter;
    limit.max = reader.integer("max", 0, kLimitCountMax).value_or(0);
    limit.window_s = reader.window_s("window").value_or(1);
    limit.scope = Scope::session;
    limit.rule = reader.path();
    describe(limit, entry.key);
    entry.limits.push_back(std::move(limit));
}

void load_limit(const JsonValue& value, const std::string& path, const std::string& limits_path,
                std::string_view tool, std::vector<Limit>& limits, ProblemList& problems) {
    const ObjectReader reader(value, path, known::kLimit, problems);
    for (std::string_view key : {"counter", "window", "max"}) reader.require(key);
    Limit limit;
    limit.counter = reader.word("counter", kCounterNameBytesMax).value_or("");
    limit.window_s = reader.window_s("window").value_or(1);
    limit.max = reader.integer("max", 0, kLimitCountMax).value_or(0);
    limit.scope = reader.choice("scope", kScopeNames, kScopesLater).value_or(Scope::grant);
    limit.rule = join_pointer(limits_path, limit.counter);
    describe(limit, tool);
    if (!limit.counter.empty() && has_counter(limits, limit.counter)) {
        reader.problem("counter", "counter " + in_quotes(limit.counter) + " is already used in this list");
    }
    limits.push_back(std::move(limit));
}

}  // namespace

void load_limits(const JsonValue& array, const std::string& path, std::string_view tool,
                 std::vector<Limit>& limits, ProblemList& problems) {
    each_object(array, path, problems, [&](const JsonValue& item, const std::string& item_path) {
        load_limit(item, item_path, path, tool, limits, problems);
    });
}

void load_tool(const JsonValue& value, const std::string& path, ToolEntry& entry, ProblemList& problems) {
    if (!expect(Kind::object, value, path, problems)) return;
    const ObjectReader reader(value, path, known::kTool, problems);
    reader.member(kCommentKey, Kind::string);
    load_denials(reader, entry);
    load_action(reader, entry);
    if (const JsonValue* limits = reader.member("limits", Kind::array)) {
        load_limits(*limits, reader.path_of("limits"), entry.key, entry.limits, problems);
    }
    load_rate_limit(reader, entry);
}

}  // namespace callgate
