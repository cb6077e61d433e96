// GovernedUntil: until when an agent has seen every server that started, in a mapped file of the state directory, so that
// an agent that is killed has said so too.
//
//   an agent    until->note(now_ns)       all that had started by then has been seen
//   the guard   GovernedUntil::read(directory)  ->  123456     what has started since has been seen by nobody
//
// Times are of the clock that processes' start times are of (CLOCK_BOOTTIME); those of another boot are none.
#pragma once
#include <time.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace callgate {

class GovernedUntil {
  public:
    // That of the agent before, where it did not end in good order; else from now on there is one that should see them.
    static Result<std::unique_ptr<GovernedUntil>> open(const std::string& state_directory);
    // In the clock ticks of /proc/PID/stat.
    static std::optional<uint64_t> read(const std::string& state_directory);
    ~GovernedUntil();
    GovernedUntil(const GovernedUntil&) = delete;
    GovernedUntil& operator=(const GovernedUntil&) = delete;

    static int64_t now_ns() { return clock_ns(CLOCK_BOOTTIME); }
    // Any thread.
    void note(int64_t ns);
    // The agent ends in good order: what starts from now on is nobody's business.
    void forget();

  private:
    struct Page;
    explicit GovernedUntil(Page* page) : page_(page) {}
    Page* const page_;
};

}  // namespace callgate
