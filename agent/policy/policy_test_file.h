// A policy's own tests: a file of calls and of what the policy must say of each, beside the policy.
//
//   {"cases": [
//     {"name": "too much", "tool": "create_charge", "args": {"amount": 20000},
//      "expect": "deny", "rule": "/tools/create_charge/deny_if/args.amount-gt"},
//     {"tool": "list_customers", "times": 31, "expect": "limit"}]}
//
// Each case begins with counters at nothing. With `times` the call is made so often within one second: all of them but the last
// must be allowed, and the last is what is expected. Every mistake has its line; nothing is thrown.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"
#include "policy/trial_call.h"

namespace callgate {

struct PolicyCase {
    std::string name;  // for people; the call, where the file gives none
    TrialCall call;
    int64_t times = 1;
    TrialOutcome expected = TrialOutcome::allow;
    std::string rule;  // "" where it does not matter
    PolicyProblem place;
};

struct PolicyTestFile {
    std::string policy;  // the file's own word for it; "" where it is the one of the same name
    std::vector<PolicyCase> cases;

    // Nothing is to be run where there are problems.
    static PolicyTestFile parse(std::string_view text, std::string_view file, std::vector<PolicyProblem>& problems);
};

// "" where the policy says what is expected, else what it says instead.
std::string run_case(const PolicyCase& test, const Policy& policy);

}  // namespace callgate
