// The way to a verdict, step by step, for people.
//
//   {"at":"/tools/x/deny_if/0","outcome":"denies","conditions":[args.amount gt 10000: holds]}
//
// The verdict itself comes from judging; what is said here is asked of the same rules.
#pragma once
#include <string>
#include <vector>

#include "policy/policy.h"
#include "policy/trial_call.h"

namespace callgate {

struct ExplainedCondition {
    std::string path, op, value;
    bool holds = false;
    bool is_there = false;  // there is a value at the path
};

struct ExplainedStep {
    std::string at;       // JSON Pointer in the policy, or what is asked: "hidden", "default"
    std::string outcome;  // "no", "denies", "does not deny", …
    std::vector<ExplainedCondition> conditions;
    bool decides = false;
};

// In the order in which they are asked, up to the one that decides. Of a message that the relay would not refuse.
std::vector<ExplainedStep> explain(const Policy& policy, const Trial& trial, bool from_server);

}  // namespace callgate
