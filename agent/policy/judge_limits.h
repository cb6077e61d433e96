// The last step of judging a call: its limits, reserved all or nothing.
#pragma once
#include <vector>

#include "policy/counters.h"
#include "policy/limit.h"
#include "policy/policy.h"

namespace callgate {

// A call as its limits see it.
struct LimitedCall {
    std::string_view entry;      // key of the entry that governs it, empty where there is none
    std::string_view arguments;  // raw bytes of params.arguments
    const Caller& caller;
};

// Charges every limit of the call, or none and says in `verdict` which one was in the way. `own`: of the
// tool; `all`: of all tools together.
void judge_limits(const std::vector<Limit>& own, const std::vector<Limit>& all, const LimitedCall& call, int64_t now_ns,
                  CounterTable& counters, Verdict& verdict);

}  // namespace callgate
