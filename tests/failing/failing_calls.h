// System calls that fail on purpose: those that the relay makes by itself, beside its ring.
//
//   FailingCalls::fail_at(2, ENOMEM);  …  the second call from here on answers ENOMEM without having been made
//   FailingCalls::fail_at(2, kShort);  …  it is made for one byte only
#pragma once
#include <cstdint>

namespace callgate {

inline constexpr int kShort = -1;

class FailingCalls {
  public:
    static void fail_at(uint64_t number, int error) { countdown_ = number, error_ = error; }
    // Nothing fails from here on. True where something had.
    static bool stop();
    // One more call: 0, or how it fails.
    static int due();

  private:
    static thread_local uint64_t countdown_;
    static thread_local int error_;
    static thread_local bool has_failed_;
};

}  // namespace callgate
