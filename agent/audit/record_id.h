// RecordId: 26 characters that sort by time (ULID: 48 bits of milliseconds, 80 random bits, Crockford base
// 32).
//
//   RecordIdMaker ids;  ids.next(1'730'000'000'000)  ->  "01JB5YMM00" and 16 characters more
//
// One maker's ids rise strictly, also when the clock is set back; two makers' ids differ.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace callgate {

struct RecordId {
    std::array<char, 26> text{};
    std::string_view view() const { return {text.data(), text.size()}; }
    bool operator==(const RecordId&) const = default;
};

// One thread.
class RecordIdMaker {
  public:
    RecordIdMaker();
    RecordId next(int64_t time_ms);

  private:
    uint64_t random();
    uint64_t random_state_;
    int64_t time_ms_ = -1;
    uint64_t high_ = 0, low_ = 0;  // 40 bits each
    RecordId last_;
};

}  // namespace callgate
