// Pulse: whether a thread gets on, told by another one that looks now and then. It goes by looks and not by a clock: while
// all of the process, or the machine, stands still, nobody looks either.
//
//   the thread     pulse.beat()                 whenever it has got on
//   who watches    pulse.is_alive(4) -> false   there was no beat between this look and the fourth before it
//   who waits      Standstill since(pulse); since.nanoseconds(now)   for how long there has been none
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>

namespace callgate {

class Pulse {
  public:
    void beat() { beats_.fetch_add(1, std::memory_order_relaxed); }
    uint32_t beats() const { return beats_.load(std::memory_order_relaxed); }
    // A thread that has not begun to beat is alive. Always of the same thread.
    bool is_alive(int looks_max) {
        const uint32_t now = beats();
        if (now != seen_) looks_ = 0;
        if (now == seen_ && now != 0 && looks_ < looks_max) ++looks_;
        seen_ = now;
        return looks_ < looks_max;
    }

  private:
    std::atomic<uint32_t> beats_{0};
    uint32_t seen_ = 0;
    int looks_ = 0;  // that have seen no beat, in a row
};

// Of the time between two looks so much counts at most: who looked no sooner may have stood still as well.
class Standstill {
  public:
    static constexpr int64_t kLookMax = 5'000'000;
    explicit Standstill(const Pulse& pulse) : pulse_(pulse), seen_(pulse.beats()) {}
    // `now_ns`: of a clock that never goes back.
    int64_t nanoseconds(int64_t now_ns) {
        lasted_ns_ += looked_ns_ ? std::min(now_ns - looked_ns_, kLookMax) : 0;
        looked_ns_ = now_ns;
        const uint32_t now = pulse_.beats();
        if (now != seen_ || now == 0) lasted_ns_ = 0;  // who has not begun to beat does not stand still
        seen_ = now;
        return lasted_ns_;
    }

  private:
    const Pulse& pulse_;
    uint32_t seen_;
    int64_t looked_ns_ = 0, lasted_ns_ = 0;
};

}  // namespace callgate
