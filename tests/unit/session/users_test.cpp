#include "session/users.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

TEST(Users, GroupsByNameAndByNumber) {
    EXPECT_EQ(group_id("root"), gid_t{0});
    EXPECT_EQ(group_id("4294967294"), gid_t{4294967294});
    EXPECT_EQ(group_id("no-such-group-here"), std::nullopt);
    EXPECT_EQ(group_id("no-such-group-here"), std::nullopt);  // as it was remembered
    for (const char* name : {"", "-1", "0x0", "4294967296", "0 ", "root:"}) EXPECT_EQ(group_id(name), std::nullopt) << name;
}

TEST(Users, OneWithoutANameIsANumber) {
    EXPECT_EQ(user_name(0), "root");
    EXPECT_EQ(user_name(3999999999), "3999999999");
}

}  // namespace
}  // namespace callgate
