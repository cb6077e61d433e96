#include "policy/duration.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

TEST(Duration, NumbersWithUnitsTheLongestFirst) {
    EXPECT_EQ(parse_duration_s("30m"), 1800);
    EXPECT_EQ(parse_duration_s("1h30m"), 5400);
    EXPECT_EQ(parse_duration_s("2d"), 172800);
    EXPECT_EQ(parse_duration_s("1d2h3m4s"), 93784);
    EXPECT_EQ(parse_duration_s("0s"), 0);
    EXPECT_EQ(parse_duration_s("090s"), 90);
    EXPECT_EQ(parse_duration_s("999999999d"), int64_t{999999999} * 86400);
}

TEST(Duration, EverythingElseIsNone) {
    for (const char* text :
         {"", "30", "m", "5m1h", "1m1m", "-1s", "1.5h", " 1s", "1s ", "1 s", "1S", "1w", "1h30", "9999999999s"})
        EXPECT_FALSE(parse_duration_s(text)) << text;
}

}  // namespace
}  // namespace callgate
