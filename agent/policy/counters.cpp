#include "policy/counters.h"

#include <algorithm>
#include <cassert>
#include <limits>

namespace callgate {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
// Cells looked at for each counter that is made: more than one, so that dropping is faster than making.
constexpr int kExpiryStep = 4;

int64_t floor_div(int64_t value, int64_t divisor) {
    int64_t quotient = value / divisor;
    return value % divisor < 0 ? quotient - 1 : quotient;
}

uint64_t handle_of(uint32_t cell, uint32_t generation) {
    return uint64_t{generation} << 32 | cell;
}

}  // namespace

// Over, or so far ahead that the clock must have been wrong when it began.
bool CounterTable::Cell::is_expired(int64_t now_s) const {
    return window_end_s() <= now_s || window_start_s > now_s + window_s;
}

Reservation CounterTable::reserve(std::span<const CounterDemand> demands, int64_t now_ns,
                                  std::vector<CounterUse>& charged) {
    charged.clear();
    const int64_t now_s = floor_div(now_ns, kNanosecondsPerSecond);
    for (size_t i = 0; i < demands.size(); ++i) {
        const CounterDemand& demand = demands[i];
        assert(demand.window_s > 0 && demand.amount >= 0);
        Cell* cell = cell_for(demand.key, now_s);
        if (!cell) {
            roll_back(charged);
            charged.clear();
            ++refusals_full_;
            const int64_t wait_s = std::max<int64_t>(no_expiry_before_s_ - now_s, 1);
            return {.granted = false, .exceeded = i, .retry_after_ms = wait_s * 1000, .table_full = true};
        }
        const int64_t start_s = floor_div(now_s, demand.window_s) * demand.window_s;
        const bool clock_went_back =
            start_s < cell->window_start_s && cell->window_start_s - start_s <= demand.window_s;
        if (cell->window_s != demand.window_s || (cell->window_start_s != start_s && !clock_went_back)) {
            // Another window, possibly one that this cell was in before the clock moved.
            ++cell->generation;
            cell->window_start_s = start_s;
            cell->window_s = demand.window_s;
            cell->count = 0;
            no_expiry_before_s_ = std::min(no_expiry_before_s_, cell->window_end_s());
        }
        cell->max = demand.max;
        if (demand.amount > demand.max || cell->count > demand.max - demand.amount) {
            const int64_t end_ns = cell->window_end_s() * kNanosecondsPerSecond;
            roll_back(charged);
            charged.clear();
            const int64_t wait_ms = (end_ns - now_ns + 999'999) / 1'000'000;
            return {.granted = false, .exceeded = i, .retry_after_ms = std::max<int64_t>(wait_ms, 1)};
        }
        cell->count += demand.amount;
        const auto number = static_cast<uint32_t>(cell - cells_.data());
        charged.push_back({.key = handle_of(number, cell->generation),
                           .window_start_s = cell->window_start_s,
                           .amount = demand.amount,
                           .count_after = cell->count,
                           .max = demand.max,
                           .counter = demand.counter});
    }
    return {};
}

void CounterTable::roll_back(std::span<const CounterUse> charged) {
    for (const CounterUse& use : charged) {
        const auto number = static_cast<uint32_t>(use.key);
        if (number >= cells_.size()) continue;
        Cell& cell = cells_[number];
        const bool same = cell.key && cell.generation == static_cast<uint32_t>(use.key >> 32) &&
                          cell.window_start_s == use.window_start_s;
        if (same) cell.count = std::max<int64_t>(cell.count - use.amount, 0);
    }
}

std::vector<CounterTable::Row> CounterTable::rows(int64_t now_ns) const {
    const int64_t now_s = floor_div(now_ns, kNanosecondsPerSecond);
    std::vector<Row> rows;
    for (const Cell& cell : cells_) {
        if (!cell.key || cell.is_expired(now_s)) continue;
        rows.push_back({*cell.key, cell.window_start_s, cell.window_s, cell.count, cell.max});
    }
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.key < b.key; });
    return rows;
}

// Finds or makes the cell of a key; null when the table is full. A new cell has window_s 0: no window yet.
CounterTable::Cell* CounterTable::cell_for(std::string_view key, int64_t now_s) {
    if (auto found = index_.find(key); found != index_.end()) return &cells_[found->second];
    drop_expired_step(now_s);
    if (index_.size() >= capacity_) drop_all_expired(now_s);
    if (index_.size() >= capacity_) return nullptr;
    uint32_t number;
    if (free_.empty()) {
        number = static_cast<uint32_t>(cells_.size());
        cells_.emplace_back();
    } else {
        number = free_.back();
        free_.pop_back();
    }
    auto [node, inserted] = index_.emplace(std::string(key), number);
    assert(inserted);
    Cell& cell = cells_[number];
    cell.key = &node->first;
    cell.window_start_s = cell.window_s = cell.count = cell.max = 0;
    return &cell;
}

void CounterTable::drop_expired_step(int64_t now_s) {
    for (int i = 0; i < kExpiryStep && !cells_.empty(); ++i) {
        if (++cursor_ >= cells_.size()) cursor_ = 0;
        if (cells_[cursor_].key && cells_[cursor_].is_expired(now_s)) drop(cursor_);
    }
}

// Remembers when the next cell can expire: while the table stays full, a flood of new keys costs no search
// each.
void CounterTable::drop_all_expired(int64_t now_s) {
    if (now_s < no_expiry_before_s_ && now_s >= searched_s_) return;
    searched_s_ = now_s;
    no_expiry_before_s_ = std::numeric_limits<int64_t>::max();
    for (uint32_t number = 0; number < cells_.size(); ++number) {
        if (!cells_[number].key) continue;
        if (cells_[number].is_expired(now_s)) {
            drop(number);
        } else {
            no_expiry_before_s_ = std::min(no_expiry_before_s_, cells_[number].window_end_s());
        }
    }
}

void CounterTable::drop(uint32_t number) {
    Cell& cell = cells_[number];
    index_.erase(*cell.key);
    cell.key = nullptr;
    ++cell.generation;
    free_.push_back(number);
}

}  // namespace callgate
