// Loads conditions: the "deny_if", "require" and "require_approval" arrays of a tool.
#pragma once
#include <string>
#include <string_view>

#include "base/limits.h"
#include "policy/compiled_policy.h"
#include "policy/object_reader.h"

namespace callgate {

// What one file may still use, and what its conditions ask for; shared by all of its tools.
struct LoadBudget {
    size_t regexes = kPolicyRegexesMax;
    bool asks_for_annotations = false;
    bool pins_any = false;
};

// Into entry.denial, entry.approval and entry.rules.
void load_condition_rules(const ObjectReader& tool, ToolEntry& entry, LoadBudget& budget);

// "Tool "x" is denied by the policy." and its like: what is said where the policy gives no reason.
std::string denied_sentence(const ToolEntry& entry);
// `reason` may be empty.
std::string approval_sentence(const ToolEntry& entry, std::string reason);

}  // namespace callgate
