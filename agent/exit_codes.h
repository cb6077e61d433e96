// Exit codes of the program, as app.h lists them.
#pragma once

namespace callgate {

inline constexpr int kExitDone = 0, kExitNo = 1, kExitUsage = 2, kExitNotRunning = 69, kExitInternal = 70, kExitGivesUp = 75,
                     kExitNotPermitted = 77, kExitConfig = 78;

}  // namespace callgate
