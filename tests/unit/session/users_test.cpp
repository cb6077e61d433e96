#include "session/users.h"

#include <gtest/gtest.h>

#include "temp_tree.h"

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

TEST(Users, OfThisHostByName) {
    EXPECT_EQ(user_id("root"), uid_t{0});
    for (const char* name : {"", "0", "no-such-user-here"}) EXPECT_EQ(user_id(name), std::nullopt) << name;
}

TEST(Users, OfAnotherRootDirectory) {
    TempTree tree;
    tree.file("/etc/passwd",
              "# host's\n"
              "root:x:0:0:root:/root:/bin/bash\n"
              "+nis::::::\n"
              "\n"
              "bad:x:1000x:1000::/:/bin/sh\n"
              "alice:x:1000:1000:Alice:/home/alice:/bin/bash\n"
              "second:x:1000:1000::/:/bin/sh\n"
              "alice:x:1001:1001::/:/bin/sh\n"
              "last:x:4294967294:1::/:");
    tree.file("/usr/etc/group", "root:x:0:\nmcp:x:990:alice,bob\nshort:x:991\n");
    tree.link("/etc/group", "/usr/etc/group");  // within this root
    const RootFs root = RootFs::open(tree.root()).value();
    EXPECT_EQ(user_name_in(root, 0), "root");
    EXPECT_EQ(user_name_in(root, 1000), "alice");
    EXPECT_EQ(user_name_in(root, 4294967294), "last");
    EXPECT_EQ(user_name_in(root, 65534), std::nullopt);  // whatever the system's own databases say
    EXPECT_EQ(user_id_in(root, "alice"), uid_t{1000});
    for (const char* name : {"", "bad", "+nis", "# host's", "1000", "nobody"})
        EXPECT_EQ(user_id_in(root, name), std::nullopt) << name;
    EXPECT_EQ(group_id_in(root, "mcp"), gid_t{990});
    EXPECT_EQ(group_id_in(root, "short"), gid_t{991});
    EXPECT_EQ(group_id_in(root, "alice"), std::nullopt);
    const TempTree empty;
    const RootFs nothing = RootFs::open(empty.root()).value();
    EXPECT_EQ(user_name_in(nothing, 0), std::nullopt);
    EXPECT_EQ(group_id_in(nothing, "root"), std::nullopt);
}

}  // namespace
}  // namespace callgate
