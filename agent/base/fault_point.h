// fault_point: a step after which the agent may be killed. Nothing happens here; the program of the fault tests is linked with
// another definition of the function, which ends the process at the step that the test has named, or takes its time there
// (tests/fault/).
#pragma once

namespace callgate {

void fault_point(const char* step) noexcept;

}  // namespace callgate
