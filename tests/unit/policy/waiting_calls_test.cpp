// Who waits for room, and in which order they get it.
#include "policy/waiting_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace callgate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Waiting : public ::testing::Test {
  public:
    // Takes a place where there is one, else waits until `due`.
    struct Call : WaitingCall {
        Call(Waiting& owner, std::string its_name) : test(owner), name(std::move(its_name)) {}
        void turn(std::string_view key, int64_t now_ns) override {
            test.turns.push_back(name + (key.empty() ? "" : "@" + std::string(key)));
            const bool admitted = !key.empty() && test.room > 0;
            if (admitted) --test.room;
            if (admitted || now_ns >= deadline_ns()) {
                test.lines.leave(*this);
                return;
            }
            test.lines.wait(key.empty() ? line : std::string(key), *this, test.next_due, deadline_ns());
        }
        Waiting& test;
        std::string name, line = "k";
    };
    Waiting() {
        lines.wake = [this](int64_t at_ns) { woken_for = at_ns; };
    }
    Call& add(std::string name, int64_t due_ns = 100, int64_t deadline_ns = 1000, std::string_view key = "k") {
        calls.push_back(std::make_unique<Call>(*this, std::move(name)));
        lines.wait(key, *calls.back(), due_ns, deadline_ns);
        return *calls.back();
    }
    std::vector<std::string> run(int64_t now_ns) {
        turns.clear();
        lines.run(now_ns);
        return turns;
    }

    std::vector<std::unique_ptr<Call>> calls;
    WaitingCalls lines;
    std::vector<std::string> turns;
    int room = 0;
    int64_t next_due = 200, woken_for = -1;
};

TEST_F(Waiting, TheFirstIsTriedWhenItIsDueAndTheOthersAfterIt) {
    add("a");
    add("b");
    add("c");
    EXPECT_EQ(woken_for, 100);
    EXPECT_THAT(run(99), IsEmpty());
    room = 2;
    EXPECT_THAT(run(100), ElementsAre("a@k", "b@k", "c@k"));
    EXPECT_EQ(lines.size(), 1u);
    EXPECT_EQ(woken_for, 200);
    EXPECT_THAT(run(199), IsEmpty());
    room = 1;
    EXPECT_THAT(run(200), ElementsAre("c@k"));
    EXPECT_FALSE(lines.has_line("k"));
}

TEST_F(Waiting, OneThatStaysKeepsItsPlaceAndHoldsUpTheOthers) {
    add("a");
    add("b");
    EXPECT_THAT(run(100), ElementsAre("a@k"));
    room = 5;
    EXPECT_THAT(run(200), ElementsAre("a@k", "b@k"));
}

TEST_F(Waiting, LinesAreIndependent) {
    add("a", 500);
    add("b", 100, 1000, "other");
    room = 1;
    EXPECT_THAT(run(100), ElementsAre("b@other"));
    EXPECT_TRUE(lines.has_line("k"));
    EXPECT_FALSE(lines.has_line("other"));
}

TEST_F(Waiting, ADeadlineEndsTheWaitWhereverItStands) {
    add("a", 5000, 5000);
    add("b", 5000, 300);
    EXPECT_EQ(woken_for, 300);
    room = 1;
    EXPECT_THAT(run(300), ElementsAre("b"));  // not its turn: it takes no room
    EXPECT_EQ(room, 1);
    EXPECT_EQ(lines.size(), 1u);
    EXPECT_THAT(run(5000), ElementsAre("a@k"));
    EXPECT_EQ(room, 0);
}

TEST_F(Waiting, WhatIsGivenBackWakesTheFirst) {
    add("a", 5000, 9000);
    add("b", 5000, 9000);
    woken_for = -1;
    lines.room_made("other");
    EXPECT_EQ(woken_for, -1);
    lines.room_made("k");
    EXPECT_EQ(woken_for, 0);
    room = 1;
    EXPECT_THAT(run(1), ElementsAre("a@k", "b@k"));
}

TEST_F(Waiting, OneThatIsDestroyedLeavesAndTheNextIsTried) {
    add("a", 5000, 9000);
    add("b", 5000, 9000);
    calls.erase(calls.begin());
    room = 1;
    EXPECT_THAT(run(1), ElementsAre("b@k"));
    calls.clear();
    EXPECT_EQ(lines.size(), 0u);
}

TEST_F(Waiting, ATurnMayDestroyEverything) {
    struct Breaker : WaitingCall {
        explicit Breaker(Waiting& owner) : test(owner) {}
        void turn(std::string_view, int64_t) override {
            Waiting& kept = test;
            kept.lines.leave(*this);
            kept.calls.clear();
        }
        Waiting& test;
    } breaker(*this);
    lines.wait("k", breaker, 100, 100);
    add("a", 100, 100);
    add("b", 100, 100);
    lines.run(100);
    EXPECT_EQ(lines.size(), 0u);
}

TEST_F(Waiting, OneThatWillNotLeaveAfterItsDeadlineIsMadeTo) {
    struct Stubborn : WaitingCall {
        explicit Stubborn(WaitingCalls& owner) : lines(owner) {}
        void turn(std::string_view key, int64_t) override { lines.wait(key, *this, 0, 0); }
        WaitingCalls& lines;
    } stubborn(lines);
    lines.wait("k", stubborn, 100, 100);
    lines.run(100);
    EXPECT_EQ(lines.size(), 0u);
}

// Whatever is given when: those who get room get it in the order in which they came, and nobody is lost.
TEST_F(Waiting, PropertyFirstComeFirstServed) {
    std::mt19937 random(3);
    std::vector<std::string> admitted;
    size_t added = 0;
    for (int64_t now = 0; now < 2000; ++now) {
        next_due = now + 1 + static_cast<int64_t>(random() % 20);
        if (random() % 3 == 0) add(std::to_string(added++), now + 1, INT64_MAX);
        room = random() % 4 == 0 ? 1 + static_cast<int>(random() % 2) : 0;
        if (room > 0) lines.room_made("k");
        const size_t before = lines.size();
        run(now);
        for (size_t i = 0; i < before - lines.size(); ++i) admitted.push_back(turns[i]);
    }
    ASSERT_GT(admitted.size(), 300u);
    for (size_t i = 0; i < admitted.size(); ++i) ASSERT_EQ(admitted[i], std::to_string(i) + "@k");
    EXPECT_EQ(admitted.size() + lines.size(), added);
}

}  // namespace
}  // namespace callgate
