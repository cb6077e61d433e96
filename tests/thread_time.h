// How much of a processor's time something takes, whatever else the machine does meanwhile.
#pragma once
#include <chrono>
#include <ctime>

namespace callgate {

template <typename Work>
std::chrono::nanoseconds thread_time(const Work& work) {
    const auto now = [] {
        timespec time{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    };
    const std::chrono::nanoseconds start = now();
    work();
    return now() - start;
}

}  // namespace callgate
