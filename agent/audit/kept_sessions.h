// KeptSessions: what AuditSessions say, in memory that outlives this process: the records that are in the queue when it is
// killed refer to them, and the next process writes those.
//
//   uint32_t place = kept.add(session);  …another process…  kept.find(place)  ->  the same members
//
// Any thread.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "audit/session_text.h"

namespace callgate {

class KeptSessions {
  public:
    // `memory`: empty, then nothing is kept.
    explicit KeptSessions(std::span<std::byte> memory) : memory_(memory) {}

    // Until then there may be others' in it, and nothing is added.
    void begin() { is_open_ = true; }
    // 0 where there is no room.
    uint32_t add(const AuditSession& session);
    void remove(uint32_t place);
    // Null where there is none.
    std::unique_ptr<const AuditSession> find(uint32_t place) const;

  private:
    struct Header {
        uint32_t name_bytes, fact_bytes;
    };
    static constexpr size_t kUnit = 64;  // places are counted in these
    static constexpr unsigned kSizes = 32;
    std::mutex mutex_;
    const std::span<std::byte> memory_;
    bool is_open_ = false;
    size_t used_units_ = 1;                           // 0 is no place
    std::array<std::vector<uint32_t>, kSizes> free_;  // by the power of two that each has of units
};

}  // namespace callgate
