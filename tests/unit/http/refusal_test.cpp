#include "http/refusal.h"

#include <gtest/gtest.h>

#include <set>

namespace callgate {
namespace {

TEST(HttpRefusal, EveryOneHasItsOwnNameAndAnErrorStatus) {
    std::set<std::string_view> names;
    for (int value = 0; value <= static_cast<int>(HttpRefusal::incomplete); ++value) {
        const auto refusal = static_cast<HttpRefusal>(value);
        EXPECT_TRUE(names.insert(name(refusal)).second) << name(refusal);
        EXPECT_NE(name(refusal), "unknown") << value;
        EXPECT_GE(status_of(refusal), 400);
        EXPECT_LE(status_of(refusal), 505);
    }
}

TEST(HttpRefusal, StatusSaysMoreThan400WhereItCan) {
    EXPECT_EQ(status_of(HttpRefusal::length_and_coding), 400);
    EXPECT_EQ(status_of(HttpRefusal::length_too_large), 413);
    EXPECT_EQ(status_of(HttpRefusal::chunk_too_large), 413);
    EXPECT_EQ(status_of(HttpRefusal::target_too_long), 414);
    EXPECT_EQ(status_of(HttpRefusal::unknown_expectation), 417);
    EXPECT_EQ(status_of(HttpRefusal::head_too_long), 431);
    EXPECT_EQ(status_of(HttpRefusal::too_many_fields), 431);
    EXPECT_EQ(status_of(HttpRefusal::unknown_coding), 501);
    EXPECT_EQ(status_of(HttpRefusal::unsupported_version), 505);
}

}  // namespace
}  // namespace callgate
