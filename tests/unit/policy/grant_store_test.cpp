// grants.json of a configuration directory.
#include "policy/grant_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "../session/temp_tree.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

constexpr const char* kGood = R"({"version":"1","grants":{"ci":{"match":{"user":"ci"}}}})";

class GrantFile : public ::testing::Test {
  protected:
    void write(const std::string& text, mode_t mode = 0644) {
        tree_.file("/grants.json", text);
        chmod(tree_.path("/grants.json").c_str(), mode);
    }
    GrantStore load(const GrantStore* before = nullptr) { return GrantStore::load(tree_.root(), before); }
    TempTree tree_;
};

TEST_F(GrantFile, AbsentIsNoProblem) {
    const GrantStore store = load();
    EXPECT_TRUE(store.problems.empty());
    EXPECT_TRUE(store.table->grants().empty());
    write(kGood);
    const GrantStore there = load(&store);
    EXPECT_EQ(there.table->grants().size(), 1u);
    EXPECT_FALSE(there.is_same(store));
    unlink(tree_.path("/grants.json").c_str());
    EXPECT_TRUE(load(&there).table->grants().empty());
}

TEST_F(GrantFile, ABadOneKeepsTheLastGoodOne) {
    write(kGood);
    const GrantStore good = load();
    for (const char* text : {"{", "", R"({"version":"1","grants":{"x":{}}})"}) {
        write(text);
        const GrantStore bad = load(&good);
        EXPECT_EQ(bad.table, good.table) << text;
        ASSERT_FALSE(bad.problems.empty());
        EXPECT_THAT(bad.problems.back().text(), HasSubstr("its last good version stays in force"));
        EXPECT_THAT(load().problems.back().text(), HasSubstr("every caller has the default grant"));
    }
}

TEST_F(GrantFile, OneThatOthersCanWriteIsBad) {
    write(kGood, 0664);
    const GrantStore store = load();
    EXPECT_TRUE(store.table->grants().empty());
    EXPECT_THAT(store.problems.at(0).text(), HasSubstr("chmod go-w"));
}

TEST_F(GrantFile, ALinkOutOfTheDirectoryIsBad) {
    tree_.file("/elsewhere/g.json", kGood);
    std::filesystem::create_symlink(tree_.path("/elsewhere/g.json"), tree_.path("/grants.json"));
    EXPECT_EQ(load().problems.size(), 1u);
}

TEST_F(GrantFile, ALinkThatLeadsNowhereIsNotAbsent) {
    std::filesystem::create_symlink("nowhere", tree_.path("/grants.json"));
    EXPECT_EQ(load().problems.size(), 1u);
}

TEST_F(GrantFile, TheSameTextIsTheSameTable) {
    write(kGood);
    const GrantStore store = load();
    write(kGood);
    const GrantStore again = load(&store);
    EXPECT_EQ(again.table, store.table);
    EXPECT_TRUE(again.is_same(store));
}

}  // namespace
}  // namespace callgate
