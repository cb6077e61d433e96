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

}  // namespace
}  // namespace callgate
