// Pulse: whether a thread gets on, told by another one that looks now and then. It goes by looks and not by a clock: while
// all of the process, or the machine, stands still, nobody looks either.
//
//   the thread     pulse.beat()                 whenever it has got on
//   who watches    pulse.is_alive(4) -> false   there was no beat between this look and the fourth before it
#pragma once
#include <atomic>
#include <cstdint>

namespace callgate {

class Pulse {
  public:
    void beat() { beats_.fetch_add(1, std::memory_order_relaxed); }
    // A thread that has not begun to beat is alive. Always of the same thread.
    bool is_alive(int looks_max) {
        const uint32_t beats = beats_.load(std::memory_order_relaxed);
        if (beats != seen_) looks_ = 0;
        if (beats == seen_ && beats != 0 && looks_ < looks_max) ++looks_;
        seen_ = beats;
        return looks_ < looks_max;
    }

  private:
    std::atomic<uint32_t> beats_{0};
    uint32_t seen_ = 0;
    int looks_ = 0;  // that have seen no beat, in a row
};

}  // namespace callgate
