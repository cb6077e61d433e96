// The last step of judging a call: its limits, reserved all or nothing.
#pragma once
#include <vector>

#include "policy/counters.h"
#include "policy/limit.h"
#include "policy/policy.h"

namespace callgate {

// Charges every limit of the call, or none and says in `verdict` which one was in the way. `own`: of the
// tool; `all`: of all tools together; `tool`: key of the entry that governs the call, empty where there is none.
void judge_limits(const std::vector<Limit>& own, const std::vector<Limit>& all, std::string_view tool,
                  const Caller& caller, int64_t now_ns, CounterTable& counters, Verdict& verdict);

}  // namespace callgate
