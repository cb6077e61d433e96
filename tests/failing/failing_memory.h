// Memory that runs out on purpose: operator new and realloc(3) of this program, on the thread that asks for it.
//
//   FailingMemory::fail_at(3);  …  the third allocation from here on throws std::bad_alloc, and no other one
#pragma once
#include <cstdint>

namespace callgate {

class FailingMemory {
  public:
    static void fail_at(uint64_t number) { countdown_ = number; }
    // Nothing fails from here on. True where something had.
    static bool stop();
    // One more allocation: true where it is the one.
    static bool is_due();

  private:
    static thread_local uint64_t countdown_;  // 0: none fails
    static thread_local bool has_failed_;
};

}  // namespace callgate
