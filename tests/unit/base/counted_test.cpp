#include "base/counted.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

TEST(Counted, OneIsNotSeveral) {
    EXPECT_EQ(counted(0, "problem"), "0 problems");
    EXPECT_EQ(counted(1, "problem"), "1 problem");
    EXPECT_EQ(counted(12, "tool"), "12 tools");
}

}  // namespace
}  // namespace callgate
