// The normal form of a policy in the native dialect: one way to say each thing, in one order. Means the same;
// only the names of rules that were in the FAQ form change.
//
//   {"action": "deny", "reason": R}                  ->  {"deny_if": [{"conditions": [], "on_deny": R}]}
//   {"action": "require_approval", "reason": R}      ->  {"require_approval": [{"conditions": [], "on_deny":
//   R}]}
//   {"rate_limit": {"max": 9, "window": "hour"}}     ->  {"limits": [{"counter": "rate_limit", "window":
//   "hour", "max": 9,
//                                                                     "scope": "session"}]}
//   {"action": "allow", "reason": R}                 ->  {"$comment": R}
#pragma once
#include "policy/json_document.h"

namespace callgate {

// Of a tree that the loader has found nothing wrong with.
void to_native_form(JsonValue& policy);

}  // namespace callgate
