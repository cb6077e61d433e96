// The two clocks (clock_gettime(2)), in nanoseconds: monotonic for durations, realtime for windows and records.
#pragma once
#include <time.h>

#include <cstdint>

namespace callgate {

inline int64_t clock_ns(clockid_t clock) {
    timespec now;
    clock_gettime(clock, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}
inline int64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }
inline int64_t realtime_ns() { return clock_ns(CLOCK_REALTIME); }

}  // namespace callgate
