#include "policy/decimal.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace callgate {
namespace {

int order(std::string_view a, std::string_view b) { return compare(Decimal::read(a), Decimal::read(b)); }

TEST(Decimal, OneNumberInManySpellings) {
    const std::vector<std::vector<std::string>> spellings = {
        {"1", "1.0", "1e0", "1.000E+00", "10e-1", "0.1e1", "0.001e3", "100000e-5"},
        {"0", "-0", "0.0", "0e99", "-0.000e-7"},
        {"-12.5", "-125e-1", "-0.125E2", "-1250.0e-2"},
        {"1e300", "0.1e301", "10e299"},
        {"9007199254740993", "9007199254740993.0", "9.007199254740993e15"},
        {"18446744073709551615", "1.8446744073709551615e19"}};
    for (const auto& same : spellings) {
        for (const std::string& a : same) {
            for (const std::string& b : same) EXPECT_EQ(order(a, b), 0) << a << " " << b;
        }
    }
}

TEST(Decimal, NearestDouble) {
    EXPECT_EQ(nearest_double("1.00000000000000001"), 1.0);
    EXPECT_EQ(nearest_double("-12.5e1"), -125.0);
    EXPECT_EQ(nearest_double("9007199254740993"), 9007199254740992.0);
    EXPECT_EQ(nearest_double("1e-400"), 0.0);
    EXPECT_EQ(nearest_double("0e999"), 0.0);
    EXPECT_EQ(nearest_double("0." + std::string(400, '0') + "1e300"), 1e-101);
    EXPECT_EQ(nearest_double("1e400"), std::numeric_limits<double>::infinity());
    EXPECT_EQ(nearest_double("-1e400"), -std::numeric_limits<double>::infinity());
}

TEST(Decimal, OrderIsExact) {
    // Ascending; the first of several pairs differ only beyond a double's precision.
    const std::vector<std::string> ascending = {"-1e400",
                                                "-18446744073709551616",
                                                "-18446744073709551615",
                                                "-10",
                                                "-9.99",
                                                "-0.1",
                                                "-1e-300",
                                                "0",
                                                "1e-400",
                                                "0.1",
                                                "0.1000000000000000055511151231257827",
                                                "0.2",
                                                "0.30",
                                                "0.300000000000000000000000000000000000001",
                                                "1",
                                                "1.0000000000000000000000001",
                                                "2",
                                                "10",
                                                "9007199254740992",
                                                "9007199254740992.5",
                                                "9007199254740993",
                                                "9223372036854775807",
                                                "9223372036854775808",
                                                "18446744073709551615",
                                                "18446744073709551616",
                                                "1e400"};
    for (size_t i = 0; i < ascending.size(); ++i) {
        for (size_t k = 0; k < ascending.size(); ++k) {
            const int expected = i < k ? -1 : i > k ? 1 : 0;
            EXPECT_EQ(order(ascending[i], ascending[k]), expected) << ascending[i] << " " << ascending[k];
        }
    }
}

// An exponent of a thousand digits is read in the time of its digits, and is still on its side of everything else.
TEST(Decimal, ExponentsAreBounded) {
    const std::string huge = "1e" + std::string(1000, '9'), tiny = "1e-" + std::string(1000, '9');
    EXPECT_EQ(order(huge, "9.9e308"), 1);
    EXPECT_EQ(order(tiny, "1e-308"), -1);
    EXPECT_EQ(order(tiny, "0"), 1);
    EXPECT_EQ(order("-" + huge, "-9.9e308"), -1);
}

TEST(Decimal, PlainIntegers) {
    EXPECT_EQ(plain_integer("0"), 0);
    EXPECT_EQ(plain_integer("-42"), -42);
    EXPECT_EQ(plain_integer("999999999999999999"), 999999999999999999);
    for (const char* other : {"", "-", "1.0", "1e0", "1000000000000000000", "9223372036854775807", "+1", " 1"}) {
        EXPECT_FALSE(plain_integer(other)) << other;
    }
}

}  // namespace
}  // namespace callgate
