// Amounts of calls: exact, and nothing that could be read in two ways.
#include "policy/amount.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace callgate {
namespace {

using ::testing::ElementsAre;

// The amount in words: "12.5", or why there is none.
std::string parsed(std::string_view number) {
    const Amount amount = parse_amount(number);
    return amount.problem == AmountProblem::none ? decimal_text(amount.millionths) : std::string(phrase(amount.problem));
}

TEST(Amount, NumbersAreReadExactly) {
    EXPECT_EQ(parsed("0"), "0");
    EXPECT_EQ(parsed("-0"), "0");
    EXPECT_EQ(parsed("-0.00e5"), "0");
    EXPECT_EQ(parsed("0e999999999999999999999"), "0");
    EXPECT_EQ(parsed("1"), "1");
    EXPECT_EQ(parsed("0.1"), "0.1");
    EXPECT_EQ(parsed("0.000001"), "0.000001");
    EXPECT_EQ(parsed("1.0000000000000000000000"), "1");
    EXPECT_EQ(parsed("12345.678900"), "12345.6789");
    EXPECT_EQ(parsed("1e3"), "1000");
    EXPECT_EQ(parsed("1.5E+3"), "1500");
    EXPECT_EQ(parsed("1500e-3"), "1.5");
    EXPECT_EQ(parsed("100000000000000000000000000000e-29"), "1");
    EXPECT_EQ(parsed("9000000000000"), "9000000000000");
    EXPECT_EQ(parsed("8999999999999.999999"), "8999999999999.999999");
    EXPECT_EQ(parse_amount("9007199.254740").millionths, 9'007'199'254'740);
}

TEST(Amount, WhatIsNotExactIsNoAmount) {
    for (const char* number : {"-1", "-0.000001", "-1e-400", "-9e99"}) EXPECT_EQ(parsed(number), "is negative") << number;
    const std::string precise = "has more than six digits after the decimal point";
    for (const char* number : {"0.0000001", "1e-7", "1.1234567", "1e-999999999999", "0.12345678901234567890123"})
        EXPECT_EQ(parsed(number), precise) << number;
    for (const char* number : {"9000000000000.000001", "9000000000001", "1e13", "1e999999999999", "1e18446744073709551617",
                               "123456789012345678901234567890", "9223372036854.775808"})
        EXPECT_EQ(parsed(number), "is larger than any sum") << number;
}

// Against the same in integers: n millionths, written in every way.
TEST(Amount, PropertyEveryWayOfWritingIsTheSame) {
    std::mt19937_64 random(7);
    for (int i = 0; i < 20'000; ++i) {
        const int64_t n = static_cast<int64_t>(random() % (kAmountMax * kAmountScale)) >> (random() % 60);
        const std::string plain = decimal_text(n);
        ASSERT_EQ(parse_amount(plain).millionths, n) << plain;
        ASSERT_EQ(parse_amount(std::to_string(n) + "e-6").millionths, n);
        ASSERT_EQ(parse_amount(std::to_string(n) + "00E-8").millionths, n);
        ASSERT_EQ(parse_amount(plain + (plain.find('.') == plain.npos ? ".0" : "0")).millionths, n) << plain;
    }
}

std::string at(std::string_view path, std::string_view arguments) {
    std::string problem;
    const std::vector<std::string> segments = parse_amount_path(path, problem);
    EXPECT_EQ(problem, "") << path;
    const Amount amount = read_amount(arguments, segments);
    return amount.problem == AmountProblem::none ? decimal_text(amount.millionths) : std::string(phrase(amount.problem));
}

TEST(Amount, PathsLeadToOneArgument) {
    EXPECT_EQ(at("args.amount", R"({"a":1,"amount":2.5})"), "2.5");
    EXPECT_EQ(at("args.amount", R"({"x":{"amount":7},"amount":2})"), "2");
    EXPECT_EQ(at("args.amount", R"({"x":{"amount":7}})"), "is missing");
    EXPECT_EQ(at("args.a.b", R"({"a":{"c":[{"b":9}],"b":3},"b":4})"), "3");
    EXPECT_EQ(at("args.a.b", R"({"a":3})"), "is missing");
    EXPECT_EQ(at("args.a", R"({"a":{"b":3}})"), "is not a number");
    EXPECT_EQ(at("args.list.1", R"({"list":[5,6,7]})"), "6");
    EXPECT_EQ(at("args.list.1.n", R"({"list":[{"n":5},{"m":[1,2],"n":8}]})"), "8");
    EXPECT_EQ(at("args.list.3", R"({"list":[5,6,7]})"), "is missing");
    EXPECT_EQ(at("args.list.01", R"({"list":[5,6,7]})"), "is missing");
    EXPECT_EQ(at("args.1", R"({"1":4})"), "4");
    EXPECT_EQ(at("args.a\\.b", R"({"a":{"b":3},"a.b":4})"), "4");
    EXPECT_EQ(at("args.amount", R"({"\u0061mount":11})"), "11");
    EXPECT_EQ(at("args.amount", R"({"Amount":11})"), "is not the only one of nearly that name");
}

TEST(Amount, OnlyNumbersAreAmounts) {
    for (const char* value : {"\"1\"", "true", "null", "[1]", "{}", "\"\""}) {
        EXPECT_EQ(at("args.amount", "{\"amount\":" + std::string(value) + "}"), "is not a number") << value;
    }
    for (const char* arguments : {"", "{}", "[]", "[1]", "1", "{\"amount\":"}) {
        EXPECT_EQ(at("args.amount", arguments), "is missing") << arguments;
    }
}

TEST(Amount, NobodyElseReadsAnotherOne) {
    for (const char* arguments : {R"({"amount":1,"Amount":9})", R"({"AMOUNT":9})", R"({"amount":1,"amoun\u0054":9})"}) {
        EXPECT_EQ(at("args.amount", arguments), "is not the only one of nearly that name") << arguments;
    }
    EXPECT_EQ(at("args.a.amount", R"({"A":{},"a":{"amount":1}})"), "is not the only one of nearly that name");
    EXPECT_EQ(at("args.a.amount", R"({"Amount":2,"b":{"A":1},"a":{"amount":-1}})"), "is negative");
}

TEST(Amount, PathsAreChecked) {
    std::string problem;
    EXPECT_THAT(parse_amount_path("args.a\\.b\\\\c.d", problem), ElementsAre("a.b\\c", "d"));
    EXPECT_EQ(problem, "");
    for (const char* text : {"", "amount", "args", "args.", "args..a", "args.a.", "args.list.*", "grant.x"}) {
        problem.clear();
        EXPECT_TRUE(parse_amount_path(text, problem).empty()) << text;
        EXPECT_NE(problem, "") << text;
    }
}

}  // namespace
}  // namespace callgate
