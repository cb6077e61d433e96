// The YAML dialect (POLICY.md §3) as a native tree: rules of a tool become require, deny_if, require_approval
// and limits; those of "*" become all_tools.
//
//   default absent                                        ->  "default": "allow"
//   rules: [{name: cap, conditions: [C], on_deny: T}]      ->  "require": [{"$comment": "cap", "conditions":
//   [C], "on_deny": T}] rules: [{name: no, action: deny}]                      ->  "deny_if": [{"$comment":
//   "no", "conditions": []}] rules: [{name: r, rate_limit: 5/hour}]                 ->  "limits":
//   [{"$comment": "r", "counter": "_rate_hour", …}]
//
// Other members are the native dialect's. Values keep their places, and `problems` learns how each moved
// place is written in the file; so a problem that the loader finds is told in the author's words.
#pragma once
#include "policy/json_document.h"

namespace callgate {

// A tool has "rules".
bool is_intercept(const JsonValue& root);
JsonValue native_from_intercept(const JsonValue& root, ProblemList& problems);

}  // namespace callgate
