#include "kernel/waiting.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "kernel/perf_events.h"
#include "kernel/requirements.h"

namespace callgate {
namespace {

TEST(Waiting, OnEventsSinceLinux7) {
    EXPECT_EQ(how_programs_wait(KernelTypes()), std::atoi(kernel_release().c_str()) < 7 ? Waiting::directly : Waiting::on_events);
}

TEST(Waiting, EventsAreFoundWhetherOrNotTracefsIsMounted) {
    for (const char* event : {"raw_syscalls/sys_exit", "sched/sched_process_exec", "sched/sched_process_exit"})
        EXPECT_TRUE(has_event(event)) << event;
    EXPECT_FALSE(has_event("sched/no_such_event"));
}

}  // namespace
}  // namespace callgate
