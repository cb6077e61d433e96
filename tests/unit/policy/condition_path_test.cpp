#include "policy/condition_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace callgate {
namespace {

using ::testing::HasSubstr;

// "a|b|*" for the steps, a star that was escaped as "(*)".
std::string steps(std::string_view text) {
    std::string problem, out;
    const auto path = parse_condition_path(text, problem);
    if (!path) return "problem: " + problem;
    for (const PathStep& step : path->steps) {
        if (!out.empty()) out += '|';
        out += step.any ? "*" : step.name == "*" ? "(*)" : step.name;
    }
    return out;
}

TEST(ConditionPath, Steps) {
    EXPECT_EQ(steps("args.a"), "a");
    EXPECT_EQ(steps("args.a.b.c"), "a|b|c");
    EXPECT_EQ(steps("args.list.0.name"), "list|0|name");
    EXPECT_EQ(steps("args.*.sku"), "*|sku");
    EXPECT_EQ(steps(R"(args.a\.b.c)"), "a.b|c");
    EXPECT_EQ(steps(R"(args.\*)"), "(*)");
    EXPECT_EQ(steps(R"(args.a\\b)"), R"(a\b)");
    EXPECT_EQ(steps("args.a b.\u00e9"), "a b|\u00e9");
    EXPECT_EQ(steps("annotations.readOnlyHint"), "readOnlyHint");
    EXPECT_EQ(steps("args.**"), "**");
}

TEST(ConditionPath, Mistakes) {
    EXPECT_THAT(steps("amount"), HasSubstr("begins with none of \"args\""));
    EXPECT_THAT(steps("arg.amount"), HasSubstr("did you mean \"args\"?"));
    EXPECT_THAT(steps(""), HasSubstr("begins with none of"));
    EXPECT_THAT(steps("args"), HasSubstr("write \"args.NAME\""));
    EXPECT_THAT(steps("args."), HasSubstr("an empty step"));
    EXPECT_THAT(steps("args.a..b"), HasSubstr("an empty step"));
    EXPECT_THAT(steps("args.a."), HasSubstr("an empty step"));
    EXPECT_THAT(steps("args.a\\"), HasSubstr("in the middle of an escape"));
    EXPECT_THAT(steps("peer.name"), HasSubstr("expected \"peer.uid\""));
    EXPECT_THAT(steps("peer.uid.x"), HasSubstr("is not known"));
    EXPECT_THAT(steps("state.x.daily"), HasSubstr("YAML dialect"));
    std::string deep = "args";
    for (int i = 0; i < 64; ++i) deep += ".a";
    EXPECT_THAT(steps(deep), HasSubstr("more steps than a message can be deep"));
}

TEST(ConditionPath, EveryFactIsKnown) {
    for (const auto& [name, fact] : kCallerFacts) {
        std::string problem;
        const auto path = parse_condition_path(name, problem);
        ASSERT_TRUE(path) << name << problem;
        EXPECT_EQ(path->root, PathRoot::caller);
        EXPECT_EQ(path->fact, fact);
    }
}

}  // namespace
}  // namespace callgate
