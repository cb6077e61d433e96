#include "policy/nearest_key.h"

#include <gtest/gtest.h>

#include <array>

namespace callgate {
namespace {

constexpr std::array<std::string_view, 4> kWords = {"limits", "deny_if", "require", "max"};

TEST(NearestKey, FindsMisspellings) {
    EXPECT_EQ(nearest("limit", kWords), "limits");
    EXPECT_EQ(nearest("Limits", kWords), "limits");
    EXPECT_EQ(nearest("limtis", kWords), "limits");
    EXPECT_EQ(nearest("denyif", kWords), "deny_if");
    EXPECT_EQ(nearest("requires", kWords), "require");
    EXPECT_EQ(nearest("mx", kWords), "max");
}

TEST(NearestKey, SaysNothingWhereNothingIsNear) {
    EXPECT_EQ(nearest("colour", kWords), "");
    EXPECT_EQ(nearest("", kWords), "");
    EXPECT_EQ(nearest(std::string(1'000'000, 'l'), kWords), "");
}

TEST(NearestKey, PrintsNothingThatATerminalObeys) {
    EXPECT_EQ(in_quotes("plain \u20ac"), "\"plain \u20ac\"");
    EXPECT_EQ(printable("a\x1b[2J\n"), "a\\x1b[2J\\x0a");
    EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
    EXPECT_EQ(printable("a\u202e"), "a\\xe2\\x80\\xae");
    EXPECT_EQ(printable(std::string(100, 'x'), 5), "xxxxx...");
}

TEST(NearestKey, ListsWords) {
    EXPECT_EQ(one_of(std::array<std::string_view, 1>{"a"}), "\"a\"");
    EXPECT_EQ(one_of(std::array<std::string_view, 3>{"a", "b", "c"}), "\"a\", \"b\" or \"c\"");
}

}  // namespace
}  // namespace callgate
