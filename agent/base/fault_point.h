// fault_point: a step after which the agent may be killed, hang, or fail. Nothing happens here; the program of the fault tests is
// linked with another definition of the function, which does that, or takes its time, at the step that the test has named
// (tests/fault/).
#pragma once

namespace callgate {

void fault_point(const char* step);

}  // namespace callgate
