// CounterTable: how often was this done in this window. Keyed by (server, scope value, tool, counter).
//
// Reservation is all or nothing: reserve() charges every limit of a call or none. A call that fails is rolled back
// into the window that it was charged in, never into the current one. Bounded by kCountersMax. One thread.
//
//   "list" at most 2 a minute: reserve -> granted, count 1; reserve -> granted, count 2; reserve -> refused,
//   retry_after_ms says when the minute ends; roll_back(the first) -> count 1, so that one more call fits.
//
// Expired counters are dropped a few at a time as new ones are made, so memory follows what is live. A clock that is
// set back by less than a window stays in the window that it came from: a step never opens a fresh one.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/limits.h"
#include "policy/verdict.h"

namespace callgate {

struct CounterDemand {
    std::string_view key;         // the full key, built by the policy
    std::string_view counter;     // its name, for the record
    int64_t window_s = 60;        // calendar-aligned UTC: windows start at multiples of it since the epoch
    int64_t max = 0;
    int64_t amount = 1;
};

struct Reservation {
    bool granted = true;
    size_t exceeded = 0;          // index of the first demand that did not fit
    int64_t retry_after_ms = 0;   // until its window ends
    bool table_full = false;
};

class CounterTable {
  public:
    // `capacity`: live counters at once. When it is reached, expired ones are dropped; if none is, reserve() refuses
    // with table_full and refusals_full() counts it.
    explicit CounterTable(size_t capacity = kCountersMax) : capacity_(capacity) {}
    CounterTable(CounterTable&&) = default;
    CounterTable& operator=(CounterTable&&) = default;
    CounterTable(const CounterTable&) = delete;
    CounterTable& operator=(const CounterTable&) = delete;

    // Replaces `charged`: one entry per demand where granted, empty where not. Demands with max < amount never fit.
    Reservation reserve(std::span<const CounterDemand> demands, int64_t now_ns, std::vector<CounterUse>& charged);
    void roll_back(std::span<const CounterUse> charged);

    struct Row {
        std::string key;
        int64_t window_start_s, window_s, count, max;
    };
    std::vector<Row> rows(int64_t now_ns) const;  // live windows only, ordered by key
    size_t size() const { return index_.size(); }
    uint64_t refusals_full() const { return refusals_full_; }

  private:
    struct KeyHash {
        using is_transparent = void;
        size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
    };
    struct Cell {
        const std::string* key = nullptr;  // owned by index_, whose nodes do not move; null while the cell is free
        int64_t window_start_s = 0, window_s = 0, count = 0, max = 0;
        uint32_t generation = 0;  // a late roll_back() must not reach whatever uses the cell now
        int64_t window_end_s() const { return window_start_s + window_s; }
        bool is_expired(int64_t now_s) const;
    };

    Cell* cell_for(std::string_view key, int64_t now_s);
    void drop_expired_step(int64_t now_s);
    void drop_all_expired(int64_t now_s);
    void drop(uint32_t cell);

    size_t capacity_;
    std::vector<Cell> cells_;
    std::unordered_map<std::string, uint32_t, KeyHash, std::equal_to<>> index_;
    std::vector<uint32_t> free_;
    uint32_t cursor_ = 0;                  // where drop_expired_step() goes on
    // A full table is not searched again before this, unless the clock goes back behind the last search.
    int64_t no_expiry_before_s_ = 0, searched_s_ = 0;
    uint64_t refusals_full_ = 0;
};

}  // namespace callgate
