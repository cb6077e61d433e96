#include "base/trusted_path.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../session/temp_tree.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

class TrustedPath : public ::testing::Test {
  protected:
    void SetUp() override {
        ASSERT_EQ(geteuid(), 0u) << "run as root";
        tree_.file("/a/etc/file");
        for (const char* name : {"/a", "/a/etc"}) mode(name, 0755);
        mode("/a/etc/file", 0644);
    }
    void mode(const std::string& name, mode_t mode) { ASSERT_EQ(chmod(tree_.path(name).c_str(), mode), 0); }
    void give(const std::string& name, uid_t uid) { ASSERT_EQ(lchown(tree_.path(name).c_str(), uid, 0), 0); }
    std::string problem(const std::string& name) {
        const Status checked = check_trusted_path(tree_.path(name));
        return checked ? "" : checked.error().text();
    }
    TempTree tree_;
};

TEST_F(TrustedPath, OfRootAloneIsGood) {
    EXPECT_EQ(problem("/a/etc"), "");
    EXPECT_EQ(problem("/a/etc/file"), "");
    EXPECT_EQ(problem("/a/none/at/all"), "");
}

TEST_F(TrustedPath, WhatOthersCanWriteIsRefused) {
    mode("/a/etc/file", 0664);
    EXPECT_THAT(problem("/a/etc/file"), HasSubstr("/a/etc/file: can be written by others than its owner"));
    EXPECT_EQ(problem("/a/etc"), "");
    mode("/a/etc", 01777);
    EXPECT_THAT(problem("/a/etc"), HasSubstr("/a/etc: can be written by others"));
    EXPECT_THAT(problem("/a/etc"), HasSubstr("chmod go-w"));
}

TEST_F(TrustedPath, SoIsWhatLiesBelowSuch) {
    mode("/a", 0775);
    EXPECT_THAT(problem("/a/etc"), HasSubstr("/a: can be written by others"));
    mode("/a", 01777);
    EXPECT_EQ(problem("/a/etc"), "");
}

TEST_F(TrustedPath, AndWhatIsSomebodyElses) {
    give("/a/etc/file", 1234);
    EXPECT_THAT(problem("/a/etc/file"), HasSubstr("/a/etc/file: belongs to user 1234"));
    EXPECT_THAT(problem("/a/etc/file"), HasSubstr("chown root it"));
    give("/a", 1234);
    EXPECT_THAT(problem("/a/etc"), HasSubstr("/a: belongs to user 1234"));
    EXPECT_THAT(problem("/a/etc"), HasSubstr("keep it below directories of root's"));
}

TEST_F(TrustedPath, ALinkIsWhatItLeadsTo) {
    tree_.link("/link", "a/etc");
    EXPECT_EQ(problem("/link"), "");
    mode("/a/etc", 0777);
    EXPECT_THAT(problem("/link"), HasSubstr("/a/etc: can be written by others"));
}

// Where a link leads is for whoever can change it to say: its owner, and who can write the directory that it lies in.
TEST_F(TrustedPath, EveryLinkOnTheWayIsLookedAt) {
    tree_.link("/theirs/second", tree_.path("/a/etc"));
    tree_.link("/first", "theirs/second");
    EXPECT_EQ(problem("/first"), "");
    EXPECT_EQ(problem("/first/file"), "");
    give("/theirs", 1234);
    EXPECT_THAT(problem("/first"), HasSubstr("/theirs: belongs to user 1234"));
    EXPECT_THAT(problem("/first/file"), HasSubstr("/theirs: belongs to user 1234"));
    EXPECT_THAT(problem("/theirs/../a/etc"), HasSubstr("/theirs: belongs to user 1234"));
    give("/theirs", 0);
    mode("/theirs", 0777);
    EXPECT_THAT(problem("/first"), HasSubstr("/theirs: can be written by others"));
    mode("/theirs", 01777);
    EXPECT_EQ(problem("/first"), "");
    give("/theirs/second", 1234);
    EXPECT_THAT(problem("/first"), HasSubstr("/theirs/second: belongs to user 1234"));
}

TEST_F(TrustedPath, LinksThatGoRoundAreAnError) {
    tree_.link("/one", "two");
    tree_.link("/two", "one");
    EXPECT_THAT(problem("/one/file"), HasSubstr("Too many levels of symbolic links"));
}

TEST_F(TrustedPath, ThePlaceOfAFile) {
    const auto place = [this](const std::string& name, Writers writers = Writers::of_group_and_others) {
        const Status checked = check_trusted_place(tree_.path(name), writers);
        return checked ? "" : checked.error().text();
    };
    mode("/a/etc/file", 0666);
    EXPECT_EQ(place("/a/etc/file"), "");
    EXPECT_EQ(place("/a/etc/none"), "");
    EXPECT_EQ(place("/a/none/none"), "");
    mode("/a/etc", 01777);
    EXPECT_EQ(place("/a/etc/file"), "");
    mode("/a/etc", 0775);
    EXPECT_THAT(place("/a/etc/file"), HasSubstr("/a/etc: can be written by others"));
    EXPECT_EQ(place("/a/etc/file", Writers::of_others), "");
    mode("/a/etc", 0757);
    EXPECT_THAT(place("/a/etc/file", Writers::of_others), HasSubstr("/a/etc: can be written by others"));
    mode("/a/etc", 0755);
    give("/a/etc", 1234);
    EXPECT_THAT(place("/a/etc/file", Writers::of_others), HasSubstr("/a/etc: belongs to user 1234"));
}

TEST_F(TrustedPath, OwnerAlone) {
    mode("/a/etc/file", 0666);
    EXPECT_TRUE(check_owner(tree_.path("/a/etc/file")));
    tree_.link("/link", "a/etc/file");
    give("/link", 1234);
    EXPECT_FALSE(check_owner(tree_.path("/link")));
    EXPECT_TRUE(check_owner(tree_.path("/none")));
}

}  // namespace
}  // namespace callgate
