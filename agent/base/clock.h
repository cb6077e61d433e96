// The clocks (clock_gettime(2)), in nanoseconds: monotonic for durations, realtime for windows and records, boottime (which
// counts suspension, too) to tell how realtime was set.
#pragma once
#include <time.h>

#include <cstdint>
#include <string>

namespace callgate {

inline int64_t clock_ns(clockid_t clock) {
    timespec now;
    clock_gettime(clock, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}
inline int64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }
inline int64_t boottime_ns() { return clock_ns(CLOCK_BOOTTIME); }
inline int64_t realtime_ns() { return clock_ns(CLOCK_REALTIME); }
std::string utc_text(int64_t realtime);  // nanoseconds -> "2026-11-21T11:34:16Z"

}  // namespace callgate
