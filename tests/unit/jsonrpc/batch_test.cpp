#include "jsonrpc/batch.h"

#include <gmock/gmock.h>

namespace callgate {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string_view> elements;
    const BatchProblem problem = split_batch(text, 100, elements);
    EXPECT_TRUE(problem.ok()) << name(problem.refusal);
    return {elements.begin(), elements.end()};
}

Refusal refusal(std::string_view text, size_t max = 100) {
    std::vector<std::string_view> elements;
    return split_batch(text, max, elements).refusal;
}

TEST(Batch, IsAnArray) {
    EXPECT_TRUE(is_batch("[1]"));
    EXPECT_TRUE(is_batch(" \r\n\t["));
    EXPECT_FALSE(is_batch("{}"));
    EXPECT_FALSE(is_batch(""));
    EXPECT_FALSE(is_batch("\xef\xbb\xbf[1]"));
}

TEST(Batch, ElementsKeepTheirBytes) {
    EXPECT_THAT(split("[]"), ElementsAre());
    EXPECT_THAT(split(" [\r\n] \n"), ElementsAre());
    EXPECT_THAT(split(R"([ {"a" : [1, {"b":2}]} ,[3], "x,]" , -1.5e3,null])"),
                ElementsAre(R"({"a" : [1, {"b":2}]})", "[3]", "\"x,]\"", "-1.5e3", "null"));
    EXPECT_THAT(split("[[],{}]"), ElementsAre("[]", "{}"));
}

TEST(Batch, WhatIsNoArrayIsRefused) {
    EXPECT_EQ(refusal("{}"), Refusal::not_object);
    EXPECT_EQ(refusal(""), Refusal::not_object);
    EXPECT_EQ(refusal("[1,]"), Refusal::not_json);
    EXPECT_EQ(refusal("[1 2]"), Refusal::not_json);
    EXPECT_EQ(refusal("[,1]"), Refusal::not_json);
    EXPECT_EQ(refusal("[1"), Refusal::incomplete);
    EXPECT_EQ(refusal("[1]]"), Refusal::trailing_bytes);
    EXPECT_EQ(refusal("[1][2]"), Refusal::trailing_bytes);
    EXPECT_EQ(refusal(std::string_view("[1]\0", 4)), Refusal::nul_byte);
    EXPECT_EQ(refusal("[\"\xff\"]"), Refusal::invalid_utf8);
    EXPECT_EQ(refusal(std::string(65, '[') + std::string(65, ']')), Refusal::too_deep);
}

TEST(Batch, ElementsAreCounted) {
    EXPECT_EQ(refusal("[1,2]", 2), Refusal::none);
    EXPECT_EQ(refusal("[1,2,3]", 2), Refusal::too_many_members);
}

}  // namespace
}  // namespace callgate
