// CounterTable: how often was this done in this window. Keyed by (server, scope value, tool, counter).
//
// Reservation is all or nothing: reserve() charges every limit of a call or none. A call that fails is rolled back
// into the window that it was charged in, never into the current one. Bounded by kCountersMax. One thread.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

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
    Reservation reserve(std::span<const CounterDemand> demands, int64_t now_ns, std::vector<CounterUse>& charged);
    void roll_back(std::span<const CounterUse> charged);

    struct Row {
        std::string key;
        int64_t window_start_s, window_s, count, max;
    };
    std::vector<Row> rows(int64_t now_ns) const;  // live windows only
    size_t size() const;

  private:
    struct Cell {
        std::string key;
        int64_t window_start_s = 0, window_s = 0, count = 0, max = 0;
        bool used = false;
    };
    std::vector<Cell> cells_;
    std::unordered_map<std::string, uint64_t> index_;
    std::vector<uint64_t> free_;
};

}  // namespace callgate
