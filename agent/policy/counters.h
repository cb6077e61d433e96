// CounterTable: how much was done in this window, or is being done now. Keyed by server, scope, tool and counter.
//
// Reservation is all or nothing: reserve() charges every limit of a call or none. A call that fails is rolled back
// into the window that it was charged in, never into the current one. Bounded by kCountersMax. One thread.
//
//   "list" at most 2 a minute: reserve -> granted, count 1; reserve -> granted, count 2; reserve -> refused,
//   retry_after_ms says when the minute ends; roll_back(the first) -> count 1, so that one more call fits.
//
// Three kinds of counters:
// - calendar: windows begin at multiples of their length since the epoch (UTC).
// - sliding: a window is kept in kSlidingSlices slices, and what was charged counts until the slice that it was charged
//   in lies wholly outside. No interval of one window's length ever holds more than max; a charge counts for at least
//   one window and at most a slice more.
// - in flight: how many calls are with the server now. release() takes a call out; there is no window.
//
// Expired counters are dropped a few at a time as new ones are made, so memory follows what is live.
//
// A clock that is set back opens no fresh window: what was counted stays until the clock has been back for longer than a
// window (for one that was wrong for a moment, that is all it costs). A step forward is time that has passed.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/limits.h"
#include "policy/verdict.h"
#include "policy/waiting_calls.h"

namespace callgate {

enum class CounterKind : uint8_t { calendar, sliding, in_flight };
std::string_view name(CounterKind kind);  // "calendar", "sliding", "in_flight"

struct CounterDemand {
    std::string_view key;      // the full key, built by the policy
    std::string_view counter;  // its name, for the record
    int64_t window_s = 60;     // of no meaning in flight
    int64_t max = 0;
    int64_t amount = 1;
    CounterKind kind = CounterKind::calendar;
    bool keeps_failed = false;        // a result that has isError gives nothing back
    bool returns_unanswered = false;  // a call that is cancelled, or never answered, gives it back
    bool may_wait = false;            // … for room; then not before those who wait in this counter's line already
    int32_t scale = 1;                // what one unit of the record is, in units of amount and max
};

struct Reservation {
    bool granted = true;
    size_t exceeded = 0;         // index of the first demand that did not fit
    int64_t retry_after_ms = 0;  // until there is room if nothing is given back; 0: when a call in flight is over
    bool never_fits = false;     // not even in an empty window
    bool table_full = false;
};

// A use with the key of its counter: what it says holds in another table too, once adopt() has found the counter there.
struct KeptUse {
    CounterUse use;
    std::string key, counter;  // `counter` is what use.counter said
};

// How the server says that a call ended. unanswered: it does not, and will not.
enum class CallEnd : uint8_t { done, tool_error, error, unanswered };

// What of one counter survives the agent.
struct CounterImage {
    int64_t window_s, max;
    int64_t newest;  // slice that was charged last
    int32_t scale;
    CounterKind kind;
    std::span<const int64_t> slices;  // as a cell has them: one, or kSlidingSlices + 1
};

// Where the counters are kept beside the table, under the number of their cell. What is in flight is not.
class CounterStore {
  public:
    virtual ~CounterStore() = default;
    virtual bool save(uint32_t cell, std::string_view key, const CounterImage& image) = 0;
    virtual void erase(uint32_t cell) = 0;
    // What is saved between the two, in the outermost pair of them, may wait until write(), or the end. text(): what waits, for
    // redo() in another process; where it would be longer than `bytes_max`, it does not wait.
    virtual void begin_turn() {}
    virtual void end_turn() {}
    virtual std::string_view text(size_t /*bytes_max*/) { return {}; }
    // Of the turn that is under way: by it something else that is done in it can be told from what was never committed. Empty
    // outside of turns. `unfinished`: of the turn that comes, or was never committed.
    virtual std::string turn() { return {}; }
    virtual std::string unfinished() { return {}; }
    virtual void write() {}
    using Redone = std::function<void(uint32_t cell, std::string_view key, const CounterImage& image)>;
    virtual void redo(std::string_view /*text*/, const Redone&) {}
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

    // Replaces `charged`: one entry per key where granted, empty where not. A key that several demands name is charged once, the
    // largest of their amounts, which has to fit the max of each; it gives back what all of them would. A demand never fits where
    // its max is less than what is charged.
    // `turn`: key of the counter in whose line this call is the first.
    Reservation reserve(std::span<const CounterDemand> demands, int64_t now_ns, std::vector<CounterUse>& charged,
                        std::string_view turn = {});
    // The call was not made, or failed: nothing of it counts.
    void roll_back(std::span<const CounterUse> charged);
    // The call is over, whatever became of it: it is not in flight any more. What its windows were charged stays.
    void release(std::span<const CounterUse> charged);
    // The call is over: gives back what one that ended so is not charged for, and releases it.
    void settle(std::span<const CounterUse> charged, CallEnd end);
    // The client has cancelled the call, which the server may still be at: what it gives back for that is taken out of
    // `charged`, so that no later end gives it back again. Whether anything was.
    bool cancel(std::vector<CounterUse>& charged);

    // Every change from now on goes to `store` too, which outlives the table.
    void keep_in(CounterStore& store) { store_ = &store; }
    // A turn of a session: changes become valid by what text() is committed with, and are then written (CounterStore).
    class Turn {
      public:
        explicit Turn(CounterTable& table) : store_(table.store_) {
            if (store_) store_->begin_turn();
        }
        ~Turn() {
            if (store_) store_->end_turn();
        }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

      private:
        CounterStore* store_;
    };
    std::string_view turn_text(size_t bytes_max) { return store_ ? store_->text(bytes_max) : std::string_view(); }
    std::string turn() { return store_ ? store_->turn() : std::string(); }
    std::string unfinished_turn() { return store_ ? store_->unfinished() : std::string(); }
    void write_turn() {
        if (store_) store_->write();
    }
    // Of a process that has ended, before anything is charged here: what it had committed and not written.
    void redo(std::string_view turn_text, int64_t now_ns);
    // One counter of an earlier agent, before anything was charged. False where it is over, or its cell is in use.
    bool restore(uint32_t cell, std::string_view key, const CounterImage& image, int64_t now_ns);
    // Of a call that was charged and is not over. The key is empty where its counter is gone.
    KeptUse keep(const CounterUse& use) const;
    // The same call in this table, after restore(): what it was charged can be given back here, and what was in flight is in
    // flight again. False where there is no such counter.
    bool adopt(std::string_view key, CounterUse& use, int64_t now_ns);
    // Forgets the counters whose key satisfies `which`, but those in flight. How many there were.
    size_t reset(const std::function<bool(std::string_view key)>& which);
    // Who waits for room; roll_back(), release(), settle() and cancel() wake the first in line.
    WaitingCalls& waiting() { return *waiting_; }

    struct Row {
        std::string key;
        int64_t window_start_s, window_s, count, max;
        CounterKind kind = CounterKind::calendar;
        int32_t scale = 1;
    };
    std::vector<Row> rows(int64_t now_ns) const;  // live ones only, ordered by key
    size_t size() const { return index_.size(); }
    uint64_t refusals_full() const { return refusals_full_; }

  private:
    struct KeyHash {
        using is_transparent = void;
        size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
    };
    struct Cell {
        const std::string* key = nullptr;  // owned by index_, whose nodes do not move; null while the cell is free
        int64_t window_s = 0, max = 0;
        int64_t newest = 0;  // slice that is charged now, in slices since the epoch
        int64_t count = 0;   // of all slices together
        // The slice in which the clock was first seen to be before `newest`; kNotBehind where it is not.
        static constexpr int64_t kNotBehind = INT64_MAX;
        int64_t behind_since = kNotBehind;
        // The slices as an image has them; of a calendar window that is `count`.
        std::span<const int64_t> image() const;
        std::unique_ptr<int64_t[]> slices;  // of a sliding one: kSlidingSlices + 1, slice n at n modulo that
        uint32_t generation = 0;            // a late roll_back() must not reach whatever uses the cell now
        int32_t scale = 1;
        CounterKind kind = CounterKind::calendar;

        int64_t slices_kept() const { return kind == CounterKind::sliding ? kSlidingSlices + 1 : 1; }
        int64_t slice_ns() const;
        int64_t window_slices() const { return kind == CounterKind::sliding ? kSlidingSlices : 1; }
        int64_t end_ns() const;
        bool is_expired(int64_t now_ns) const;
        int64_t& slice(int64_t number);
        void clear_slices();
        void start(const CounterDemand& demand);
        bool is_behind(int64_t current);
        bool is_over(int64_t now_ns);
        void advance(int64_t now_ns);
        int64_t room_at_ns(int64_t amount) const;
    };

    Cell* cell_for(std::string_view key, int64_t now_ns);
    Cell* cell_of(const CounterUse& use);
    const Cell* cell_of(const CounterUse& use) const;
    Cell* give_back(const CounterUse& use);
    void give_back_and_tell(const CounterUse& use);
    void undo(std::vector<CounterUse>& charged);
    void drop_expired_step(int64_t now_ns);
    void drop_all_expired(int64_t now_ns);
    void drop(uint32_t cell);
    void forget(uint32_t cell);  // and leave it in the store
    void save(const Cell& cell);

    size_t capacity_;
    std::vector<Cell> cells_;
    std::unordered_map<std::string, uint32_t, KeyHash, std::equal_to<>> index_;
    std::vector<uint32_t> free_;
    uint32_t cursor_ = 0;  // where drop_expired_step() goes on
    // A full table is not searched again before this, unless the clock goes back behind the last search.
    int64_t no_expiry_before_ns_ = 0, searched_ns_ = 0;
    uint64_t refusals_full_ = 0;
    CounterStore* store_ = nullptr;
    std::unique_ptr<WaitingCalls> waiting_ = std::make_unique<WaitingCalls>();
};

}  // namespace callgate
