#include "lifecycle/resumed_calls.h"

#include <algorithm>

namespace callgate {

void wait_again_in_order(std::vector<ResumedCall> calls) {
    std::stable_sort(calls.begin(), calls.end(),
                     [](const ResumedCall& a, const ResumedCall& b) { return a.read_ns < b.read_ns; });
    for (const ResumedCall& each : calls) each.wait_again();
}

}  // namespace callgate
