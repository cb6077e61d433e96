// What goes wrong for a while is told twice.
#include "base/trouble.h"

#include <gtest/gtest.h>

#include <vector>

namespace callgate {
namespace {

TEST(Trouble, IsToldWhenItBeginsAndWhenItIsOver) {
    Trouble trouble;
    std::vector<std::string> told;
    trouble.end();
    trouble.begin("a");
    EXPECT_EQ(trouble.text(), "a");
    trouble.watch([&](const std::string& text) { told.push_back(text); });
    trouble.begin("b");
    EXPECT_EQ(trouble.text(), "b");
    trouble.end();
    trouble.end();
    trouble.begin("c");
    EXPECT_EQ(told, (std::vector<std::string>{"a", "", "c"}));
}

}  // namespace
}  // namespace callgate
