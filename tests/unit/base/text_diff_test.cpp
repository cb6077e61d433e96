#include "base/text_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace callgate {
namespace {

using ::testing::ElementsAre;

TEST(LineDiff, WhatHasGoneStandsBeforeWhatHasCome) {
    EXPECT_THAT(line_diff({"a", "b"}, {"a", "c"}), ElementsAre("  a", "- b", "+ c"));
    EXPECT_THAT(line_diff({"a", "b", "c"}, {"a", "x", "c"}), ElementsAre("  a", "- b", "+ x", "  c"));
    EXPECT_THAT(line_diff({"a", "b", "c", "d"}, {"b", "c", "x", "d"}), ElementsAre("- a", "  b", "  c", "+ x", "  d"));
    EXPECT_THAT(line_diff({}, {"a"}), ElementsAre("+ a"));
    EXPECT_THAT(line_diff({"a"}, {}), ElementsAre("- a"));
    EXPECT_THAT(line_diff({"a", "a"}, {"a"}), ElementsAre("  a", "- a"));
    EXPECT_TRUE(line_diff({}, {}).empty());
}

TEST(LineDiff, LongTextsAreNotCompared) {
    const std::vector<std::string> before(kDiffLinesMax + 1, "a"), after(kDiffLinesMax + 1, "b");
    const auto lines = line_diff(before, after);
    ASSERT_EQ(lines.size(), 2 * kDiffLinesMax + 2);
    EXPECT_EQ(lines.front(), "- a");
    EXPECT_EQ(lines.back(), "+ b");
}

}  // namespace
}  // namespace callgate
