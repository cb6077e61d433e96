// What may stand under one tool: deny_if and require of the hosted form, action of the FAQ form, and limits
// (limit_loader.cpp).
#include <algorithm>
#include <array>

#include "policy/limit_loader.h"
#include "policy/loader.h"
#include "policy/nearest_key.h"
#include "policy/object_reader.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;

constexpr std::array<std::string_view, 1> kActionsLater = {"require_approval"};
enum class ToolAction : uint8_t { allow, deny };
constexpr std::array<std::pair<std::string_view, ToolAction>, 2> kActions = {
    {{"allow", ToolAction::allow}, {"deny", ToolAction::deny}}};

std::string default_reason(std::string_view tool) {
    return "Tool " + in_quotes(tool) + " is denied by the policy.";
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

}  // namespace

void load_tool(const JsonValue& value, const std::string& path, ToolEntry& entry, ProblemList& problems) {
    if (!expect(Kind::object, value, path, problems)) return;
    const ObjectReader reader(value, path, known::kTool, problems);
    reader.member(kCommentKey, Kind::string);
    load_denials(reader, entry);
    load_action(reader, entry);
    if (const JsonValue* limits = reader.member("limits", Kind::array)) {
        load_limits(*limits, reader.path_of("limits"), entry.key, entry.limits, problems);
    }
    load_rate_limit(reader, entry.key, entry.limits);
}

}  // namespace callgate
