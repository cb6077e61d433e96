// Loads what a policy says of approvals: "approvals" and "approval_timeout" of the policy, "approval_timeout"
// and "hold_ms" of an entry.
#pragma once
#include "policy/compiled_policy.h"
#include "policy/object_reader.h"

namespace callgate {

void load_approvals(const ObjectReader& policy, ApprovalRules& rules);
// After everything else of the entry.
void load_approval_terms(const ObjectReader& reader, ToolEntry& entry);

}  // namespace callgate
