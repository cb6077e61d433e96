// Calls that waited in the agent before, for room in a limit or for a human: in this one each waits again.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

namespace callgate {

struct ResumedCall {
    int64_t read_ns;  // realtime: when it came
    std::function<void()> wait_again;
};

// In one line, over whatever transport they came: who came first has the first turn.
void wait_again_in_order(std::vector<ResumedCall> calls);

}  // namespace callgate
