#include "audit/record_id.h"

#include <sodium.h>

namespace callgate {
namespace {

constexpr uint64_t kHalfMask = (uint64_t{1} << 40) - 1;

void write_base32(char* out, int digits, uint64_t value) {
    static constexpr char kAlphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    for (int i = digits - 1; i >= 0; --i) {
        out[i] = kAlphabet[value & 31];
        value >>= 5;
    }
}

}  // namespace

RecordIdMaker::RecordIdMaker() { randombytes_buf(&random_state_, sizeof(random_state_)); }

// splitmix64: the ids must differ, not be unpredictable.
uint64_t RecordIdMaker::random() {
    uint64_t mixed = random_state_ += 0x9e3779b97f4a7c15ull;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebull;
    return mixed ^ (mixed >> 31);
}

RecordId RecordIdMaker::next(int64_t time_ms) {
    if (time_ms > time_ms_) {
        time_ms_ = time_ms;
        // The top bit stays clear so that counting up within the millisecond cannot overflow.
        high_ = random() & (kHalfMask >> 1);
        low_ = random() & kHalfMask;
        write_base32(last_.text.data(), 10, static_cast<uint64_t>(time_ms_));
        write_base32(last_.text.data() + 10, 8, high_);
    } else if (low_ == kHalfMask) {
        low_ = 0;
        write_base32(last_.text.data() + 10, 8, ++high_);
    } else {
        ++low_;
    }
    write_base32(last_.text.data() + 18, 8, low_);
    return last_;
}

}  // namespace callgate
