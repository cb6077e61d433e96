// WakeUp: lets one thread sleep and others wake it, at the price of one plain load while it is awake.
//
//   sleeper:  wake_up.announce(); if (still nothing to do) wake_up.sleep(timeout); wake_up.retract();
//   others:   make work visible (a release store or a lock), then wake_up.ring_if_asleep();
//
// Whoever makes work visible must not then miss that the sleeper goes to sleep. The barrier that this needs
// between the store and the load is paid by the sleeper alone, for all threads (membarrier(2)): on the data
// path it would wait for every store to the queue. Where membarrier is refused, the sleeper looks again every
// kLookAgainMs.
#pragma once
#include <atomic>

#include "base/fd.h"
#include "base/result.h"

namespace callgate {

class WakeUp {
  public:
    static constexpr int kLookAgainMs = 20;

    static Result<WakeUp> create();
    // Optional, before there is a second thread: create() then need not wait for the kernel.
    static void prepare_process();
    WakeUp(WakeUp&& other) noexcept : event_(std::move(other.event_)), has_barrier_(other.has_barrier_) {}

    void announce();
    void retract() { is_asleep_.store(false, std::memory_order_relaxed); }
    void sleep(int timeout_ms);  // -1: until rung
    void ring();
    void ring_if_asleep() {
        std::atomic_signal_fence(std::memory_order_seq_cst);  // orders the compiler; announce() orders the processor
        if (is_asleep_.load(std::memory_order_relaxed) && is_asleep_.exchange(false)) ring();
    }

  private:
    WakeUp(Fd event, bool has_barrier) : event_(std::move(event)), has_barrier_(has_barrier) {}
    Fd event_;  // eventfd
    bool has_barrier_;
    std::atomic<bool> is_asleep_{false};
};

}  // namespace callgate
