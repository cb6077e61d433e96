#include "audit/arguments_hash.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "../session/temp_tree.h"
#include "base/limits.h"

namespace callgate {
namespace {

TEST(ArgumentsHash, SecretIsMadeOnceAndKept) {
    TempTree tree;
    Result<ArgumentsHash> first = ArgumentsHash::open(tree.path("/secret"));
    ASSERT_TRUE(first.ok()) << first.error().text();
    struct stat status;
    ASSERT_EQ(stat(tree.path("/secret").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    EXPECT_EQ(status.st_size, 32);
    Result<ArgumentsHash> second = ArgumentsHash::open(tree.path("/secret"));
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(first->of("{\"a\":1}"), second->of("{\"a\":1}"));
    EXPECT_NE(first->of("{\"a\":1}"), first->of("{\"a\":2}"));
    Result<ArgumentsHash> other = ArgumentsHash::open(tree.path("/other"));
    ASSERT_TRUE(other.ok());
    EXPECT_NE(first->of("{\"a\":1}"), other->of("{\"a\":1}"));
}

TEST(ArgumentsHash, SecretOfOthersIsRefused) {
    TempTree tree;
    tree.file("/open", std::string(32, 'x'));
    ::chmod(tree.path("/open").c_str(), 0644);
    EXPECT_FALSE(ArgumentsHash::open(tree.path("/open")).ok());
    tree.file("/short", "x");
    ::chmod(tree.path("/short").c_str(), 0600);
    EXPECT_FALSE(ArgumentsHash::open(tree.path("/short")).ok());
    tree.link("/link", tree.path("/short"));
    EXPECT_FALSE(ArgumentsHash::open(tree.path("/link")).ok());
}

TEST(ArgumentsHash, LongArgumentsByTheirEndsAndLength) {
    const ArgumentsHash hash(std::string(32, 'k'));
    std::string text(kAuditHashBytes + 1000, 'a');
    const ArgumentsHash::Digest whole = hash.of(text);
    std::string middle = text;
    middle[kAuditHashBytes / 2 + 500] = 'b';
    EXPECT_EQ(hash.of(middle), whole);
    text.front() = 'b';
    EXPECT_NE(hash.of(text), whole);
    text.front() = 'a';
    text.back() = 'b';
    EXPECT_NE(hash.of(text), whole);
    EXPECT_NE(hash.of(std::string(kAuditHashBytes + 1001, 'a')), whole);
}

}  // namespace
}  // namespace callgate
