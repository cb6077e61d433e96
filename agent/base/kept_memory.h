// KeptMemory: what must be known of a process that was killed, in a memfd that somebody keeps for the next one
// (restart/carrier.h): audit records that are not in the file yet, and how many starts have been in vain.
//
//   KeptMemory::create()  ─► the descriptor goes to the keeper ─► kill -9 ─► KeptMemory::adopt(descriptor): the same bytes
//
// Only what is used takes memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/fd.h"
#include "base/result.h"

namespace callgate {

class KeptMemory {
  public:
    static Result<std::unique_ptr<KeptMemory>> create();
    // That of a process that has ended. ErrorKind::refused where another version made it, which lays it out otherwise.
    static Result<std::unique_ptr<KeptMemory>> adopt(Fd memory);
    ~KeptMemory();
    KeptMemory(const KeptMemory&) = delete;
    KeptMemory& operator=(const KeptMemory&) = delete;

    const Fd& fd() const { return memory_; }
    // Of processes that have begun and were not ready since one was, this one included once it says so.
    uint32_t starts() const;
    void set_starts(uint32_t starts);
    std::span<std::byte> audit_queue() const;
    std::span<std::byte> audit_sessions() const;

  private:
    struct Header;
    KeptMemory() = default;
    Status map();
    Fd memory_;
    std::byte* start_ = nullptr;
};

}  // namespace callgate
