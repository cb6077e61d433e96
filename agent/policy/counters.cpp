#include "policy/counters.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

namespace callgate {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
// Cells looked at for each counter that is made: more than one, so that dropping is faster than making.
constexpr int kExpiryStep = 4;

int64_t floor_div(int64_t value, int64_t divisor) {
    int64_t quotient = value / divisor;
    return value % divisor < 0 ? quotient - 1 : quotient;
}

uint64_t handle_of(uint32_t cell, uint32_t generation) { return uint64_t{generation} << 32 | cell; }

int64_t wait_ms(int64_t until_ns, int64_t now_ns) { return std::max<int64_t>((until_ns - now_ns + 999'999) / 1'000'000, 1); }

bool is_returned(const CounterUse& use, CallEnd end) {
    switch (end) {
        case CallEnd::done: return false;
        case CallEnd::tool_error: return !use.keeps_failed;
        case CallEnd::error: return true;
        case CallEnd::unanswered: return use.returns_unanswered;
    }
    return false;
}

// What the first of them is charged: the largest amount of those with its key.
int64_t amount_of(std::span<const CounterDemand> demands) {
    int64_t amount = 0;
    for (const CounterDemand& demand : demands) {
        if (demand.key == demands.front().key) amount = std::max(amount, demand.amount);
    }
    return amount;
}

}  // namespace

std::string_view name(CounterKind kind) {
    switch (kind) {
        case CounterKind::calendar: return "calendar";
        case CounterKind::sliding: return "sliding";
        case CounterKind::in_flight: return "in_flight";
    }
    return "";
}

int64_t CounterTable::Cell::slice_ns() const {
    const int64_t window_ns = window_s * kNanosecondsPerSecond;
    return kind == CounterKind::sliding ? window_ns / kSlidingSlices : window_ns;
}

bool CounterTable::Cell::is_expired(int64_t now_ns) const {
    return kind == CounterKind::in_flight ? count == 0 : end_ns() <= now_ns;
}

// Where the clock was set back, the latest that it can be: what a sliding window is charged meanwhile counts for a window, too.
int64_t CounterTable::Cell::end_ns() const {
    int64_t end = newest + slices_kept();
    if (behind_since != kNotBehind) {
        const int64_t after = kind == CounterKind::sliding ? slices_kept() : 0;
        end = std::min(end, behind_since + window_slices() + 1 + after);
    }
    return end * slice_ns();
}

int64_t& CounterTable::Cell::slice(int64_t number) {
    const int64_t kept = slices_kept();
    return slices[static_cast<size_t>(((number % kept) + kept) % kept)];
}

void CounterTable::Cell::clear_slices() {
    count = 0;
    if (slices) std::fill_n(slices.get(), slices_kept(), 0);
}

// Another counter than the cell had, or none: begins with nothing.
void CounterTable::Cell::start(const CounterDemand& demand) {
    ++generation;
    kind = demand.kind;
    window_s = demand.kind == CounterKind::in_flight ? 0 : demand.window_s;
    scale = demand.scale;
    // As a time it is representable, and so is its difference to any other one.
    newest = kind == CounterKind::in_flight ? 0 : std::numeric_limits<int64_t>::min() / slice_ns() / 2;
    behind_since = kNotBehind;
    if (kind == CounterKind::sliding && !slices) slices = std::make_unique<int64_t[]>(kSlidingSlices + 1);
    clear_slices();
}

// The clock was set back, and not longer ago than a window.
bool CounterTable::Cell::is_behind(int64_t current) {
    if (current >= newest) {
        behind_since = kNotBehind;
        return false;
    }
    behind_since = std::min(behind_since, current);
    return current - behind_since <= window_slices();
}

// As is_expired(), for a counter that nobody may ask for again: sees that the clock was set back, too.
bool CounterTable::Cell::is_over(int64_t now_ns) {
    if (kind != CounterKind::in_flight) (void)is_behind(floor_div(now_ns, slice_ns()));
    return is_expired(now_ns);
}

// Into the slice of this moment. What has left the window is not counted any more.
void CounterTable::Cell::advance(int64_t now_ns) {
    if (kind == CounterKind::in_flight) return;
    const int64_t current = floor_div(now_ns, slice_ns());
    const int64_t kept = slices_kept();
    if (is_behind(current)) return;
    const bool is_over = end_ns() <= now_ns;
    behind_since = kNotBehind;
    if (current < newest) {
        // Of a sliding window, what was charged since then may not be over.
        const int64_t since = kind == CounterKind::sliding && !is_over ? slice(newest) : 0;
        ++generation;
        clear_slices();
        if (since > 0) slice(current) = count = since;
    } else if (current - newest >= kept) {
        clear_slices();
    } else if (kind == CounterKind::sliding) {
        for (int64_t number = newest + 1; number <= current; ++number) {
            count -= slice(number);
            slice(number) = 0;
        }
    }
    newest = current;
}

// When so much has left the window that `amount` fits.
int64_t CounterTable::Cell::room_at_ns(int64_t amount) const {
    if (kind != CounterKind::sliding || behind_since != kNotBehind) return end_ns();
    int64_t left = count;
    const int64_t kept = slices_kept();
    for (int64_t number = newest - kept + 1; number <= newest; ++number) {
        left -= slices[static_cast<size_t>(((number % kept) + kept) % kept)];
        if (left <= max - amount) return (number + kept) * slice_ns();
    }
    return end_ns();
}

Reservation CounterTable::reserve(std::span<const CounterDemand> demands, int64_t now_ns, std::vector<CounterUse>& charged,
                                  std::string_view turn) {
    charged.clear();
    charged.reserve(demands.size());
    for (size_t i = 0; i < demands.size(); ++i) {
        const CounterDemand& demand = demands[i];
        assert((demand.window_s > 0 || demand.kind == CounterKind::in_flight) && demand.amount >= 0);
        Cell* cell = cell_for(demand.key, now_ns);
        if (!cell) {
            undo(charged);
            ++refusals_full_;
            const int64_t until_ns = std::max(no_expiry_before_ns_, now_ns + kNanosecondsPerSecond);
            return {.granted = false, .exceeded = i, .retry_after_ms = wait_ms(until_ns, now_ns), .table_full = true};
        }
        const bool is_other =
            cell->kind != demand.kind || (demand.kind != CounterKind::in_flight && cell->window_s != demand.window_s);
        if (is_other) cell->start(demand);
        cell->advance(now_ns);
        if (cell->kind != CounterKind::in_flight) no_expiry_before_ns_ = std::min(no_expiry_before_ns_, cell->end_ns());
        cell->max = demand.max;
        const uint64_t handle = handle_of(static_cast<uint32_t>(cell - cells_.data()), cell->generation);
        const auto same = std::find_if(charged.begin(), charged.end(), [&](const CounterUse& use) { return use.key == handle; });
        const int64_t amount = same == charged.end() ? amount_of(demands.subspan(i)) : same->amount;
        const int64_t others = same == charged.end() ? cell->count : cell->count - amount;
        const bool never_fits = amount > demand.max;
        const bool has_room = !never_fits && others <= demand.max - amount;
        const bool is_behind = demand.may_wait && demand.key != turn && waiting_->has_line(demand.key);
        if (!has_room || is_behind) {
            const bool waits_for_call = has_room || demand.kind == CounterKind::in_flight;
            undo(charged);
            const int64_t wait = waits_for_call ? 0 : wait_ms(cell->room_at_ns(amount), now_ns);
            return {.granted = false, .exceeded = i, .retry_after_ms = wait, .never_fits = never_fits};
        }
        if (same != charged.end()) {
            same->max = std::min(same->max, demand.max);
            same->keeps_failed |= demand.keeps_failed;
            same->returns_unanswered &= demand.returns_unanswered;
            continue;
        }
        cell->count += amount;
        if (cell->kind == CounterKind::sliding) cell->slice(cell->newest) += amount;
        charged.push_back({.key = handle,
                           .window_start_s = floor_div(cell->newest * cell->slice_ns(), kNanosecondsPerSecond),
                           .amount = amount,
                           .count_after = cell->count,
                           .max = demand.max,
                           .counter = demand.counter,
                           .slice = cell->newest,
                           .scale = demand.scale,
                           .keeps_failed = demand.keeps_failed,
                           .returns_unanswered = demand.returns_unanswered,
                           .is_in_flight = demand.kind == CounterKind::in_flight});
    }
    if (store_) {
        for (const CounterUse& use : charged) save(cells_[static_cast<uint32_t>(use.key)]);
    }
    return {};
}

const CounterTable::Cell* CounterTable::cell_of(const CounterUse& use) const {
    const auto number = static_cast<uint32_t>(use.key);
    if (number >= cells_.size()) return nullptr;
    const Cell& cell = cells_[number];
    return cell.key && cell.generation == static_cast<uint32_t>(use.key >> 32) ? &cell : nullptr;
}

CounterTable::Cell* CounterTable::cell_of(const CounterUse& use) { return const_cast<Cell*>(std::as_const(*this).cell_of(use)); }

// The cell that has more room now, or null.
CounterTable::Cell* CounterTable::give_back(const CounterUse& use) {
    Cell* cell = cell_of(use);
    const bool is_kept = cell && use.slice <= cell->newest && use.slice > cell->newest - cell->slices_kept();
    if (!is_kept) return nullptr;
    int64_t& charged = cell->kind == CounterKind::sliding ? cell->slice(use.slice) : cell->count;
    const int64_t amount = std::min(use.amount, charged);
    charged -= amount;
    if (cell->kind == CounterKind::sliding) cell->count -= amount;
    if (cell->kind == CounterKind::in_flight) no_expiry_before_ns_ = 0;
    return cell;
}

void CounterTable::give_back_and_tell(const CounterUse& use) {
    const Cell* cell = give_back(use);
    if (!cell) return;
    if (store_) save(*cell);
    waiting_->room_made(*cell->key);
}

// What a call was charged before it turned out that not all of it fits. Nobody had to wait for that.
void CounterTable::undo(std::vector<CounterUse>& charged) {
    for (const CounterUse& use : charged) give_back(use);
    charged.clear();
}

void CounterTable::roll_back(std::span<const CounterUse> charged) {
    for (const CounterUse& use : charged) give_back_and_tell(use);
}

void CounterTable::release(std::span<const CounterUse> charged) {
    for (const CounterUse& use : charged) {
        if (use.is_in_flight) give_back_and_tell(use);
    }
}

void CounterTable::settle(std::span<const CounterUse> charged, CallEnd end) {
    for (const CounterUse& use : charged) {
        if (is_returned(use, end) || use.is_in_flight) give_back_and_tell(use);
    }
}

bool CounterTable::cancel(std::vector<CounterUse>& charged) {
    const auto stays = [](const CounterUse& use) { return !is_returned(use, CallEnd::unanswered); };
    const auto returned = std::stable_partition(charged.begin(), charged.end(), stays);
    if (returned == charged.end()) return false;
    roll_back(std::span(returned, charged.end()));
    charged.erase(returned, charged.end());
    return true;
}

std::vector<CounterTable::Row> CounterTable::rows(int64_t now_ns) const {
    std::vector<Row> rows;
    for (const Cell& cell : cells_) {
        if (!cell.key || cell.is_expired(now_ns)) continue;
        const int64_t start_s = floor_div(cell.newest * cell.slice_ns(), kNanosecondsPerSecond);
        rows.push_back({*cell.key, start_s, cell.window_s, cell.count, cell.max, cell.kind, cell.scale});
    }
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.key < b.key; });
    return rows;
}

// Finds or makes the cell of a key; null when the table is full. A new cell has window_s 0: no window yet.
CounterTable::Cell* CounterTable::cell_for(std::string_view key, int64_t now_ns) {
    if (auto found = index_.find(key); found != index_.end()) return &cells_[found->second];
    drop_expired_step(now_ns);
    if (index_.size() >= capacity_) drop_all_expired(now_ns);
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
    cell.kind = CounterKind::calendar;
    cell.window_s = cell.count = cell.max = cell.newest = 0;
    cell.behind_since = Cell::kNotBehind;
    return &cell;
}

std::span<const int64_t> CounterTable::Cell::image() const {
    if (kind == CounterKind::sliding) return {slices.get(), static_cast<size_t>(slices_kept())};
    return {&count, 1};
}

void CounterTable::save(const Cell& cell) {
    if (cell.kind == CounterKind::in_flight) return;
    const auto number = static_cast<uint32_t>(&cell - cells_.data());
    store_->save(number, *cell.key, {cell.window_s, cell.max, cell.newest, cell.scale, cell.kind, cell.image()});
}

bool CounterTable::restore(uint32_t number, std::string_view key, const CounterImage& image, int64_t now_ns) {
    const bool was_free = number < cells_.size();
    for (; cells_.size() <= number; cells_.emplace_back()) {
        if (cells_.size() < number) free_.push_back(static_cast<uint32_t>(cells_.size()));
    }
    Cell& cell = cells_[number];
    if (cell.key || index_.contains(key) || index_.size() >= capacity_) return false;
    CounterDemand like;
    like.window_s = image.window_s;
    like.kind = image.kind;
    like.scale = image.scale;
    cell.start(like);
    cell.max = image.max;
    cell.newest = image.newest;
    if (cell.kind == CounterKind::sliding) {
        std::copy(image.slices.begin(), image.slices.end(), cell.slices.get());
    }
    for (const int64_t slice : image.slices) cell.count += slice;
    if (cell.is_expired(now_ns)) {
        if (!was_free) free_.push_back(number);
        return false;
    }
    if (was_free) std::erase(free_, number);
    cell.key = &index_.emplace(std::string(key), number).first->first;
    return true;
}

void CounterTable::redo(std::string_view turn_text, int64_t now_ns) {
    if (!store_ || turn_text.empty()) return;
    store_->redo(turn_text, [&](uint32_t number, std::string_view key, const CounterImage& image) {
        if (const auto found = index_.find(key); found != index_.end()) forget(found->second);
        if (number < cells_.size() && cells_[number].key) forget(number);
        (void)restore(number, key, image, now_ns);
    });
}

KeptUse CounterTable::keep(const CounterUse& use) const {
    const Cell* cell = cell_of(use);
    KeptUse kept{use, cell ? *cell->key : std::string(), std::string(use.counter)};
    kept.use.counter = {};
    return kept;
}

bool CounterTable::adopt(std::string_view key, CounterUse& use, int64_t now_ns) {
    Cell* cell = nullptr;
    if (use.is_in_flight) {
        cell = cell_for(key, now_ns);
        if (!cell) return false;
        CounterDemand like;
        like.kind = CounterKind::in_flight;
        like.scale = use.scale;
        if (cell->kind != CounterKind::in_flight) cell->start(like);
        cell->max = use.max;
        cell->count += use.amount;
    } else if (auto found = index_.find(key); found != index_.end()) {
        cell = &cells_[found->second];
        if (cell->kind == CounterKind::in_flight) return false;
    } else {
        return false;
    }
    use.key = handle_of(static_cast<uint32_t>(cell - cells_.data()), cell->generation);
    return true;
}

size_t CounterTable::reset(const std::function<bool(std::string_view key)>& which) {
    size_t found = 0;
    for (uint32_t number = 0; number < cells_.size(); ++number) {
        const Cell& cell = cells_[number];
        if (!cell.key || cell.kind == CounterKind::in_flight || !which(*cell.key)) continue;
        waiting_->room_made(*cell.key);
        drop(number);
        ++found;
    }
    no_expiry_before_ns_ = 0;
    return found;
}

void CounterTable::drop_expired_step(int64_t now_ns) {
    for (int i = 0; i < kExpiryStep && !cells_.empty(); ++i) {
        if (++cursor_ >= cells_.size()) cursor_ = 0;
        if (cells_[cursor_].key && cells_[cursor_].is_over(now_ns)) drop(cursor_);
    }
}

// Remembers when the next cell can expire: while the table stays full, a flood of new keys costs no search
// each.
void CounterTable::drop_all_expired(int64_t now_ns) {
    if (now_ns < no_expiry_before_ns_ && now_ns >= searched_ns_) return;
    searched_ns_ = now_ns;
    no_expiry_before_ns_ = std::numeric_limits<int64_t>::max();
    for (uint32_t number = 0; number < cells_.size(); ++number) {
        if (!cells_[number].key) continue;
        if (cells_[number].is_over(now_ns)) {
            drop(number);
        } else if (cells_[number].kind != CounterKind::in_flight) {
            no_expiry_before_ns_ = std::min(no_expiry_before_ns_, cells_[number].end_ns());
        }
    }
}

void CounterTable::drop(uint32_t number) {
    if (store_ && cells_[number].kind != CounterKind::in_flight) store_->erase(number);
    forget(number);
}

void CounterTable::forget(uint32_t number) {
    Cell& cell = cells_[number];
    index_.erase(*cell.key);
    cell.key = nullptr;
    ++cell.generation;
    free_.push_back(number);
}

}  // namespace callgate
