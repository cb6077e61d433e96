// What waits in the kernel waits in programs of perf events, as it has to since Linux 7.0, whatever kernel this is.
#include "kernel/waiting.h"

namespace callgate {

Waiting how_programs_wait(const KernelTypes&) { return Waiting::on_events; }

}  // namespace callgate
