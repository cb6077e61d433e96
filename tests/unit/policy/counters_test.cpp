#include "policy/counters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>

namespace callgate {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
// 2026-01-01T00:00:00Z: the beginning of a second, a minute, an hour and a day.
constexpr int64_t kMidnight = 1'767'225'600 * kSecond;

CounterDemand demand(std::string_view key, int64_t max, int64_t window_s = 60) {
    return {.key = key, .counter = "c", .window_s = window_s, .max = max};
}

class Counters : public ::testing::Test {
  protected:
    Reservation reserve(std::vector<CounterDemand> demands, int64_t now_ns = kMidnight) {
        return table_.reserve(demands, now_ns, charged_);
    }
    int64_t count(std::string_view key, int64_t now_ns = kMidnight) const {
        for (const auto& row : table_.rows(now_ns)) {
            if (row.key == key) return row.count;
        }
        return -1;
    }

    CounterTable table_;
    std::vector<CounterUse> charged_;
};

TEST_F(Counters, CountsUpToTheMaximum) {
    EXPECT_TRUE(reserve({demand("a", 2)}).granted);
    ASSERT_EQ(charged_.size(), 1u);
    EXPECT_EQ(charged_[0].count_after, 1);
    EXPECT_EQ(charged_[0].max, 2);
    EXPECT_EQ(charged_[0].counter, "c");
    EXPECT_EQ(charged_[0].window_start_s, kMidnight / kSecond);
    EXPECT_TRUE(reserve({demand("a", 2)}).granted);
    EXPECT_EQ(charged_[0].count_after, 2);
    EXPECT_FALSE(reserve({demand("a", 2)}).granted);
    EXPECT_TRUE(charged_.empty());
    EXPECT_TRUE(reserve({demand("b", 2)}).granted);
}

TEST_F(Counters, WindowsAreAlignedToTheCalendar) {
    EXPECT_TRUE(reserve({demand("a", 1)}, kMidnight + 59 * kSecond).granted);
    const Reservation refused = reserve({demand("a", 1)}, kMidnight + 59 * kSecond + 400'000'000);
    EXPECT_FALSE(refused.granted);
    EXPECT_EQ(refused.retry_after_ms, 600);
    EXPECT_TRUE(reserve({demand("a", 1)}, kMidnight + 60 * kSecond).granted);
}

TEST_F(Counters, RetryAfterIsRoundedUpSoThatItIsLateEnough) {
    EXPECT_TRUE(reserve({demand("a", 1)}).granted);
    EXPECT_EQ(reserve({demand("a", 1)}, kMidnight + 60 * kSecond - 1).retry_after_ms, 1);
    EXPECT_EQ(reserve({demand("a", 1)}, kMidnight + 1).retry_after_ms, 60000);
}

TEST_F(Counters, WindowsBeforeTheEpochAreAlignedToo) {
    EXPECT_TRUE(reserve({demand("a", 1)}, -1).granted);
    EXPECT_EQ(charged_[0].window_start_s, -60);
}

TEST_F(Counters, AllDemandsOrNone) {
    EXPECT_TRUE(reserve({demand("b", 1)}).granted);
    const Reservation refused = reserve({demand("a", 5), demand("b", 1), demand("c", 5)});
    EXPECT_FALSE(refused.granted);
    EXPECT_EQ(refused.exceeded, 1u);
    EXPECT_EQ(count("a"), 0);
    EXPECT_EQ(count("b"), 1);
    EXPECT_EQ(count("c"), -1);
}

TEST_F(Counters, OneKeyDemandedTwiceCountsOnce) {
    EXPECT_TRUE(reserve({demand("a", 1), demand("a", 1)}).granted);
    EXPECT_EQ(count("a"), 1);
    EXPECT_EQ(charged_.size(), 1u);
    EXPECT_EQ(reserve({demand("a", 2), demand("a", 1)}).exceeded, 1u);
    EXPECT_EQ(count("a"), 1);
}

TEST_F(Counters, MaximumOfZeroAdmitsNothing) { EXPECT_FALSE(reserve({demand("a", 0)}).granted); }

TEST_F(Counters, LargestAmountsDoNotOverflow) {
    CounterDemand large = demand("a", INT64_MAX);
    large.amount = INT64_MAX;
    EXPECT_TRUE(reserve({large}).granted);
    EXPECT_FALSE(reserve({large}).granted);
    EXPECT_EQ(count("a"), INT64_MAX);
}

TEST_F(Counters, RollBackGivesTheCallBack) {
    EXPECT_TRUE(reserve({demand("a", 1), demand("b", 1)}).granted);
    table_.roll_back(charged_);
    EXPECT_EQ(count("a"), 0);
    EXPECT_TRUE(reserve({demand("a", 1), demand("b", 1)}).granted);
}

TEST_F(Counters, RollBackNeverReachesTheNextWindow) {
    EXPECT_TRUE(reserve({demand("a", 5)}).granted);
    const std::vector<CounterUse> old = charged_;
    EXPECT_TRUE(reserve({demand("a", 5)}, kMidnight + 60 * kSecond).granted);
    table_.roll_back(old);
    EXPECT_EQ(count("a", kMidnight + 60 * kSecond), 1);
}

TEST_F(Counters, RollBackNeverReachesAnotherCounterInTheSameCell) {
    CounterTable table(1);
    std::vector<CounterUse> old, charged;
    EXPECT_TRUE(table.reserve(std::vector{demand("a", 5)}, kMidnight, old).granted);
    // The hour begins with the minute that is over: same cell, same beginning, another counter.
    const int64_t later = kMidnight + 61 * kSecond;
    EXPECT_TRUE(table.reserve(std::vector{demand("b", 5, 3600)}, later, charged).granted);
    ASSERT_EQ(static_cast<uint32_t>(charged[0].key), static_cast<uint32_t>(old[0].key));
    ASSERT_EQ(charged[0].window_start_s, old[0].window_start_s);
    table.roll_back(old);
    ASSERT_EQ(table.rows(later).size(), 1u);
    EXPECT_EQ(table.rows(later)[0].count, 1);
}

TEST_F(Counters, RollBackOfNonsenseIsIgnored) {
    CounterUse nowhere;
    nowhere.amount = 1;
    for (uint64_t key : {uint64_t{0}, uint64_t{7}, ~uint64_t{0}}) {
        nowhere.key = key;
        table_.roll_back({&nowhere, 1});
    }
    EXPECT_EQ(table_.size(), 0u);
}

TEST_F(Counters, ClockSetBackOpensNoFreshWindow) {
    EXPECT_TRUE(reserve({demand("a", 1)}, kMidnight).granted);
    EXPECT_FALSE(reserve({demand("a", 1)}, kMidnight - kSecond).granted);
    EXPECT_FALSE(reserve({demand("a", 1)}, kMidnight + kSecond).granted);
}

// However far it is set back, what was counted stays for a window at least, and for two at most.
TEST_F(Counters, ClockSetBackFarOpensNoFreshWindowAndLocksNobodyOut) {
    const int64_t year = 365 * 86400 * kSecond;
    EXPECT_TRUE(reserve({demand("a", 1)}, kMidnight + year).granted);
    const std::vector<CounterUse> old = charged_;
    for (int64_t since : {0, 59, 60, 119}) {
        const Reservation refused = reserve({demand("a", 1)}, kMidnight + since * kSecond);
        EXPECT_FALSE(refused.granted) << since;
        EXPECT_EQ(refused.retry_after_ms, (120 - since) * 1000);
    }
    EXPECT_TRUE(reserve({demand("a", 1)}, kMidnight + 120 * kSecond).granted);
    table_.roll_back(old);
    EXPECT_EQ(count("a", kMidnight + 120 * kSecond), 1);
    // Ahead again, it is another window, and so on.
    EXPECT_TRUE(reserve({demand("a", 1)}, kMidnight + year + 60 * kSecond).granted);
    EXPECT_FALSE(reserve({demand("a", 1)}, kMidnight + 130 * kSecond).granted);
}

// A host without a battery begins in 1970, until it has asked what time it is.
TEST_F(Counters, ClockThatWasBehindAtTheStartForgetsNothing) {
    const int64_t one = 1;
    const CounterImage used{86400, 1, kMidnight / (86400 * kSecond), 1, CounterKind::calendar, {&one, 1}};
    ASSERT_TRUE(table_.restore(0, "a", used, 5 * kSecond));
    EXPECT_FALSE(reserve({demand("a", 1, 86400)}, 10 * kSecond).granted);
    EXPECT_FALSE(reserve({demand("a", 1, 86400)}, kMidnight + 20 * kSecond).granted);
    EXPECT_TRUE(reserve({demand("a", 1, 86400)}, kMidnight + 86400 * kSecond).granted);
}

// Nobody asks for it again, and it goes all the same.
TEST_F(Counters, WhatTheClockLeftBehindIsDropped) {
    CounterTable table(1);
    EXPECT_TRUE(table.reserve(std::vector{demand("a", 1)}, kMidnight + 9000 * kSecond, charged_).granted);
    EXPECT_TRUE(table.reserve(std::vector{demand("b", 1)}, kMidnight, charged_).table_full);
    EXPECT_TRUE(table.reserve(std::vector{demand("b", 1)}, kMidnight + 120 * kSecond, charged_).granted);
}

// I6: bounded, with a named behaviour when full, and a counter.
TEST_F(Counters, I6FullTableDropsWhatIsOverAndElseRefuses) {
    CounterTable table(2);
    std::vector<CounterUse> charged;
    EXPECT_TRUE(table.reserve(std::vector{demand("a", 1), demand("b", 1, 3600)}, kMidnight, charged).granted);
    const Reservation full = table.reserve(std::vector{demand("c", 1)}, kMidnight + 20 * kSecond, charged);
    EXPECT_FALSE(full.granted);
    EXPECT_TRUE(full.table_full);
    EXPECT_EQ(full.retry_after_ms, 40000);
    EXPECT_EQ(table.refusals_full(), 1u);
    // Those that are in the table go on.
    EXPECT_FALSE(table.reserve(std::vector{demand("a", 1)}, kMidnight + 20 * kSecond, charged).table_full);
    EXPECT_TRUE(table.reserve(std::vector{demand("c", 1)}, kMidnight + 60 * kSecond, charged).granted);
    EXPECT_EQ(table.size(), 2u);
}

TEST_F(Counters, I6FullTableChargesNothingOfARefusedCall) {
    CounterTable table(1);
    std::vector<CounterUse> charged;
    EXPECT_TRUE(table.reserve(std::vector{demand("a", 5), demand("b", 5)}, kMidnight, charged).table_full);
    EXPECT_TRUE(charged.empty());
    EXPECT_EQ(table.rows(kMidnight)[0].count, 0);
}

TEST_F(Counters, I6MemoryFollowsWhatIsLive) {
    for (int i = 0; i < 100'000; ++i) {
        const std::string key = "key " + std::to_string(i);
        EXPECT_TRUE(reserve({demand(key, 1, 1)}, kMidnight + i * kSecond / 100).granted);
    }
    EXPECT_LT(table_.size(), 400u);  // a hundred live at a time
}

TEST_F(Counters, RowsAreOfLiveWindowsInOrder) {
    EXPECT_TRUE(reserve({demand("b", 3), demand("a", 4, 3600)}).granted);
    const auto rows = table_.rows(kMidnight + 30 * kSecond);
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0].key, "a");
    EXPECT_EQ(rows[0].max, 4);
    EXPECT_EQ(rows[0].window_s, 3600);
    EXPECT_EQ(rows[1].key, "b");
    EXPECT_EQ(table_.rows(kMidnight + 60 * kSecond).size(), 1u);
}

CounterDemand sliding(std::string_view key, int64_t max, int64_t amount = 1) {
    CounterDemand made = demand(key, max);
    made.kind = CounterKind::sliding;
    made.amount = amount;
    return made;
}

TEST_F(Counters, ASlidingWindowLetsGoSliceBySlice) {
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(reserve({sliding("a", 3)}, kMidnight + i * 6 * kSecond).granted);
    const Reservation refused = reserve({sliding("a", 3)}, kMidnight + 30 * kSecond);
    EXPECT_FALSE(refused.granted);
    EXPECT_EQ(refused.retry_after_ms, 36'000);
    EXPECT_FALSE(reserve({sliding("a", 3)}, kMidnight + 66 * kSecond - 1).granted);
    EXPECT_TRUE(reserve({sliding("a", 3)}, kMidnight + 66 * kSecond).granted);
    EXPECT_FALSE(reserve({sliding("a", 3)}, kMidnight + 66 * kSecond).granted);
    // Two at once have to wait for two slices.
    EXPECT_EQ(reserve({sliding("a", 3, 2)}, kMidnight + 66 * kSecond).retry_after_ms, 12'000);
    EXPECT_TRUE(reserve({sliding("a", 3, 3)}, kMidnight + 200 * kSecond).granted);
}

TEST_F(Counters, ASlidingChargeIsGivenBackToItsSlice) {
    EXPECT_TRUE(reserve({sliding("a", 2)}).granted);
    const std::vector<CounterUse> first = charged_;
    EXPECT_TRUE(reserve({sliding("a", 2)}, kMidnight + 30 * kSecond).granted);
    const std::vector<CounterUse> second = charged_;
    table_.roll_back(first);
    EXPECT_EQ(count("a", kMidnight + 30 * kSecond), 1);
    EXPECT_TRUE(reserve({sliding("a", 2)}, kMidnight + 65 * kSecond).granted);
    EXPECT_FALSE(reserve({sliding("a", 2)}, kMidnight + 66 * kSecond).granted);  // the second one still counts
    // Its slice has left the window, and what has the place now is not touched.
    EXPECT_TRUE(reserve({sliding("a", 2)}, kMidnight + 97 * kSecond).granted);
    table_.roll_back(second);
    EXPECT_EQ(count("a", kMidnight + 97 * kSecond), 2);
}

TEST_F(Counters, ASlidingWindowSurvivesTheClock) {
    EXPECT_TRUE(reserve({sliding("a", 1)}).granted);
    EXPECT_FALSE(reserve({sliding("a", 1)}, kMidnight - 59 * kSecond).granted);
    EXPECT_FALSE(reserve({sliding("a", 1)}, kMidnight + kSecond).granted);
    const int64_t year = 365 * 86400 * kSecond;
    EXPECT_TRUE(reserve({sliding("a", 3)}, kMidnight + year).granted);
    EXPECT_TRUE(reserve({sliding("a", 3)}, kMidnight + year + 12 * kSecond).granted);
    // Back: what was charged before is over after a window and a slice, but for the last slice, to which what is charged now
    // goes.
    EXPECT_TRUE(reserve({sliding("a", 3)}, kMidnight + 30 * kSecond).granted);
    EXPECT_FALSE(reserve({sliding("a", 3)}, kMidnight + 95 * kSecond).granted);
    EXPECT_TRUE(reserve({sliding("a", 3)}, kMidnight + 96 * kSecond).granted);
    EXPECT_FALSE(reserve({sliding("a", 3)}, kMidnight + 97 * kSecond).granted);
    EXPECT_TRUE(reserve({sliding("a", 3)}, kMidnight + 168 * kSecond).granted);
}

// With a clock that is set as it likes, in either direction: no more than max for each window that really passes and each
// step forward, and a counter that nobody asks for two windows and two slices has room again.
TEST(CountersProperty, NoStepBackwardsWidens) {
    for (unsigned seed = 0; seed < 40; ++seed) {
        std::mt19937 random(seed);
        for (const CounterKind kind : {CounterKind::calendar, CounterKind::sliding}) {
            CounterTable table;
            std::vector<CounterUse> charged;
            CounterDemand each = demand("a", 5);
            each.kind = kind;
            int64_t set_ns = 0;      // what the clock is wrong by
            int64_t elapsed_ns = 0;  // since the test began
            int64_t granted = 0, back = 0;
            for (int step = 0; step < 3000; ++step) {
                elapsed_ns += static_cast<int64_t>(random() % 2'000'000'000);
                if (random() % 40 == 0) {
                    set_ns -= static_cast<int64_t>(random() % 7200) * kSecond;
                    ++back;
                }
                granted += table.reserve(std::vector{each}, kMidnight + elapsed_ns + set_ns, charged).granted;
            }
            EXPECT_GT(back, 10);
            EXPECT_LE(granted, 5 * (elapsed_ns / (60 * kSecond) + 2)) << seed;
            elapsed_ns += 140 * kSecond;
            table.reserve(std::vector{each}, kMidnight + elapsed_ns + set_ns, charged);
            elapsed_ns += 140 * kSecond;
            EXPECT_TRUE(table.reserve(std::vector{each}, kMidnight + elapsed_ns + set_ns, charged).granted) << seed;
        }
    }
}

// No interval of a window's length holds more than max, whatever the calls; and a window that has been empty for a
// slice more than its length admits max again.
TEST(CountersProperty, NoSlidingWindowHoldsMore) {
    for (unsigned seed = 0; seed < 20; ++seed) {
        std::mt19937 random(seed);
        CounterTable table;
        std::vector<CounterUse> charged;
        std::vector<std::pair<int64_t, int64_t>> admitted;  // when, how much
        int64_t now_ns = kMidnight;
        for (int step = 0; step < 4000; ++step) {
            now_ns += static_cast<int64_t>(random() % 4'000'000'000);
            const int64_t amount = 1 + static_cast<int64_t>(random() % 3);
            if (table.reserve(std::vector{sliding("a", 20, amount)}, now_ns, charged).granted) {
                admitted.emplace_back(now_ns, amount);
            }
            int64_t in_window = 0, in_window_and_slice = 0;
            for (auto each = admitted.rbegin(); each != admitted.rend(); ++each) {
                if (each->first > now_ns - 60 * kSecond) in_window += each->second;
                if (each->first > now_ns - 66 * kSecond) in_window_and_slice += each->second;
            }
            ASSERT_LE(in_window, 20);
            // Only what was charged within a window and a slice can be in the way.
            if (in_window_and_slice + amount <= 20 && (admitted.empty() || admitted.back().first != now_ns)) {
                ADD_FAILURE() << "refused without need at step " << step;
            }
        }
        EXPECT_GT(admitted.size(), 500u);
    }
}

CounterDemand in_flight(std::string_view key, int64_t max) {
    CounterDemand made = demand(key, max);
    made.kind = CounterKind::in_flight;
    return made;
}

TEST_F(Counters, InFlightHasNoWindow) {
    EXPECT_TRUE(reserve({in_flight("a", 1), demand("b", 5)}).granted);
    const std::vector<CounterUse> first = charged_;
    const Reservation refused = reserve({in_flight("a", 1)}, kMidnight + 1000 * kSecond);
    EXPECT_FALSE(refused.granted);
    EXPECT_EQ(refused.retry_after_ms, 0);
    table_.release(first);
    EXPECT_EQ(count("b"), 1);  // what its windows were charged stays
    EXPECT_TRUE(reserve({in_flight("a", 1)}).granted);
}

TEST_F(Counters, I6CallsInFlightAreNeverDroppedFromAFullTable) {
    CounterTable table(1);
    std::vector<CounterUse> first, charged;
    EXPECT_TRUE(table.reserve(std::vector{in_flight("a", 1)}, kMidnight, first).granted);
    EXPECT_TRUE(table.reserve(std::vector{demand("b", 1)}, kMidnight + 9000 * kSecond, charged).table_full);
    table.release(first);
    EXPECT_TRUE(table.reserve(std::vector{demand("b", 1)}, kMidnight + 9000 * kSecond, charged).granted);
    table.release(first);  // of what is not there any more
    EXPECT_EQ(table.rows(kMidnight + 9000 * kSecond)[0].count, 1);
}

// Whatever the order of calls, failures and clock steps: 0 <= count <= max, and as long as the clock only
// goes forward the count is exactly what a simple model says.
TEST(CountersProperty, NeverNegativeNeverOverTheMaximum) {
    for (unsigned seed = 0; seed < 40; ++seed) {
        std::mt19937 random(seed);
        const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
        const bool clock_jumps = seed % 2 == 1;
        CounterTable table(clock_jumps ? 6 : 64);
        std::map<std::pair<std::string, int64_t>, int64_t> model;
        std::vector<std::pair<std::vector<CounterUse>, std::vector<std::pair<std::string, int64_t>>>> in_flight;
        int64_t now_ns = kMidnight;
        for (int step = 0; step < 3000; ++step) {
            now_ns += below(300) * kSecond / 100;
            if (clock_jumps && below(50) == 0) now_ns -= below(400) * kSecond;
            if (below(3) > 0) {
                std::vector<std::string> keys;
                std::vector<CounterDemand> demands;
                for (int i = below(3); i >= 0; --i) keys.push_back(std::string(1, static_cast<char>('a' + below(8))));
                for (const std::string& key : keys) {
                    demands.push_back(demand(key, 1 + key[0] % 5, key[0] % 2 ? 7 : 60));
                    demands.back().amount = 1 + below(2);
                    demands.back().returns_unanswered = below(2) == 0;
                }
                std::vector<CounterUse> charged;
                const Reservation reservation = table.reserve(demands, now_ns, charged);
                std::vector<std::string> asked;  // each once, as it is charged
                for (const std::string& key : keys)
                    if (std::find(asked.begin(), asked.end(), key) == asked.end()) asked.push_back(key);
                ASSERT_EQ(charged.size(), reservation.granted ? asked.size() : 0);
                std::vector<std::pair<std::string, int64_t>> cells;
                for (size_t i = 0; i < charged.size(); ++i) {
                    int64_t largest = 0;
                    for (const CounterDemand& each : demands)
                        if (each.key == asked[i]) largest = std::max(largest, each.amount);
                    ASSERT_EQ(charged[i].amount, largest);
                    cells.emplace_back(asked[i], charged[i].window_start_s);
                    model[cells.back()] += charged[i].amount;
                    ASSERT_LE(charged[i].count_after, charged[i].max);
                    if (!clock_jumps) {
                        ASSERT_EQ(charged[i].count_after, model[cells.back()]);
                    }
                }
                if (reservation.granted) in_flight.emplace_back(std::move(charged), std::move(cells));
            } else if (!in_flight.empty()) {
                const size_t chosen = static_cast<size_t>(below(static_cast<int>(in_flight.size())));
                auto& [charged, cells] = in_flight[chosen];
                // What goes back, goes back once: a call that was cancelled may still end in any way.
                const bool is_cancelled = below(3) == 0;
                const auto end = std::array{CallEnd::done, CallEnd::error, CallEnd::unanswered}[static_cast<size_t>(below(3))];
                std::vector<std::pair<std::string, int64_t>> cells_left;
                for (size_t i = 0; i < cells.size(); ++i) {
                    const bool is_unanswered = is_cancelled || end == CallEnd::unanswered;
                    const bool goes_back = is_unanswered ? charged[i].returns_unanswered : end == CallEnd::error;
                    if (goes_back) model[cells[i]] -= charged[i].amount;
                    if (!charged[i].returns_unanswered) cells_left.push_back(cells[i]);
                }
                if (is_cancelled) {
                    ASSERT_EQ(table.cancel(charged), cells_left.size() < cells.size());
                    cells = std::move(cells_left);
                } else {
                    table.settle(charged, end);
                    in_flight.erase(in_flight.begin() + static_cast<std::ptrdiff_t>(chosen));
                }
            }
            for (const auto& row : table.rows(now_ns)) {
                ASSERT_GE(row.count, 0);
                ASSERT_LE(row.count, row.max);
                if (!clock_jumps) {
                    const int64_t expected = model[{row.key, row.window_start_s}];
                    ASSERT_EQ(row.count, expected) << row.key;
                }
            }
        }
    }
}

}  // namespace
}  // namespace callgate
