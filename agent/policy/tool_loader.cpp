// What may stand under one tool: action of the FAQ form, conditions (condition_loader.cpp) and limits
// (limit_loader.cpp).
#include <array>

#include "policy/approval_loader.h"
#include "policy/condition_loader.h"
#include "policy/limit_loader.h"
#include "policy/loader.h"
#include "policy/object_reader.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;

enum class ToolAction : uint8_t { allow, deny, require_approval };
constexpr std::array<std::pair<std::string_view, ToolAction>, 3> kActions = {
    {{"allow", ToolAction::allow}, {"deny", ToolAction::deny}, {"require_approval", ToolAction::require_approval}}};

void load_action(const ObjectReader& reader, ToolEntry& entry) {
    const std::optional<ToolAction> action = reader.choice("action", kActions);
    std::string reason = reader.text("reason").value_or("");
    if (action == ToolAction::deny && !entry.denial) {
        if (reason.empty()) reason = denied_sentence(entry);
        entry.denial = FixedDenial{reader.path_of("action"), std::move(reason)};
    } else if (action == ToolAction::require_approval && !entry.approval) {
        entry.approval = FixedDenial{reader.path_of("action"), approval_sentence(entry, std::move(reason))};
    }
}

void load_pin(const ObjectReader& reader, ToolEntry& entry, LoadBudget& budget) {
    const JsonValue* pin = reader.member("pin", Kind::boolean);
    if (!pin) return;
    budget.pins_any |= pin->boolean;
    entry.is_never_pinned = !pin->boolean;
    if (pin->boolean) entry.pin = FixedDenial{reader.path_of("pin"), {}};
}

}  // namespace

void load_tool(const JsonValue& value, const std::string& path, ToolEntry& entry, LoadBudget& budget, ProblemList& problems,
               const KnownKeys& keys) {
    if (!expect(Kind::object, value, path, problems)) return;
    const ObjectReader reader(value, path, keys, problems);
    reader.member(kCommentKey, Kind::string);
    load_condition_rules(reader, entry, budget);
    load_action(reader, entry);
    load_approval_terms(reader, entry);
    load_pin(reader, entry, budget);
    if (const JsonValue* limits = reader.member("limits", Kind::array)) {
        load_limits(*limits, reader.path_of("limits"), entry.limits_name(), entry.limits, problems);
    }
    load_rate_limit(reader, entry.limits_name(), entry.limits);
}

}  // namespace callgate
