// WakeUp: lets one thread sleep and others wake it, at the price of one load while it is awake.
//
//   sleeper:  wake_up.announce(); if (still nothing to do) wake_up.sleep(timeout); wake_up.retract();
//   others:   make work visible (seq_cst store or a lock), then wake_up.ring_if_asleep();
#pragma once
#include <atomic>

#include "base/fd.h"
#include "base/result.h"

namespace callgate {

class WakeUp {
  public:
    static Result<WakeUp> create();
    WakeUp(WakeUp&& other) noexcept : event_(std::move(other.event_)) {}

    void announce() { is_asleep_.store(true, std::memory_order_seq_cst); }
    void retract() { is_asleep_.store(false, std::memory_order_relaxed); }
    void sleep(int timeout_ms);  // -1: until rung
    void ring();
    void ring_if_asleep() {
        if (is_asleep_.load(std::memory_order_seq_cst) && is_asleep_.exchange(false)) ring();
    }

  private:
    explicit WakeUp(Fd event) : event_(std::move(event)) {}
    Fd event_;  // eventfd
    std::atomic<bool> is_asleep_{false};
};

}  // namespace callgate
