#include "base/pulse.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

TEST(Pulse, WhoHasNotBegunIsAlive) {
    Pulse pulse;
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(pulse.is_alive(2));
}

TEST(Pulse, WhoseBeatsEndIsNotAliveAfterSoManyLooks) {
    Pulse pulse;
    pulse.beat();
    EXPECT_TRUE(pulse.is_alive(3));
    EXPECT_TRUE(pulse.is_alive(3));
    EXPECT_TRUE(pulse.is_alive(3));
    EXPECT_FALSE(pulse.is_alive(3));
    EXPECT_FALSE(pulse.is_alive(3));
    pulse.beat();
    EXPECT_TRUE(pulse.is_alive(3));
}

TEST(Pulse, OneBeatBetweenTwoLooksIsEnough) {
    Pulse pulse;
    for (int i = 0; i < 10; ++i) {
        pulse.beat();
        EXPECT_TRUE(pulse.is_alive(1));
    }
}

TEST(Standstill, LastsFromBeatToBeat) {
    Pulse pulse;
    pulse.beat();
    Standstill since(pulse);
    EXPECT_EQ(since.nanoseconds(1'000'000), 0);
    EXPECT_EQ(since.nanoseconds(3'000'000), 2'000'000);
    EXPECT_EQ(since.nanoseconds(4'000'000), 3'000'000);
    pulse.beat();
    EXPECT_EQ(since.nanoseconds(5'000'000), 0);
    EXPECT_EQ(since.nanoseconds(6'000'000), 1'000'000);
}

TEST(Standstill, WhatNobodyWasAwakeForDoesNotCount) {
    Pulse pulse;
    Standstill since(pulse);
    EXPECT_EQ(since.nanoseconds(1), 0);
    EXPECT_EQ(since.nanoseconds(1'000), 0);  // it has not begun
    pulse.beat();
    EXPECT_EQ(since.nanoseconds(2'000), 0);
    EXPECT_EQ(since.nanoseconds(30'000'000'000), Standstill::kLookMax);
}

}  // namespace
}  // namespace callgate
