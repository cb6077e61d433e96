#include "session/root_fs.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "temp_tree.h"

namespace callgate {
namespace {

TEST(RootFs, SymlinksStayInside) {
    TempTree tree;
    tree.file("/app/real.js", "inside");
    tree.link("/bin/server", "/app/real.js");
    tree.link("/escape", "../../../../etc/passwd");
    tree.file("/etc/passwd", "of the root");
    Result<RootFs> fs = RootFs::open(tree.root());
    ASSERT_TRUE(fs.ok());
    EXPECT_EQ(fs->resolve("/bin/server"), "/app/real.js");
    EXPECT_EQ(fs->read("/escape", 100), "of the root");
    EXPECT_EQ(fs->resolve("/nothing"), std::nullopt);
}

TEST(RootFs, ReadsRegularFilesOnlyAndBounded) {
    TempTree tree;
    tree.file("/big", std::string(100, 'x'));
    tree.directory("/directory");
    ASSERT_EQ(::mkfifo(tree.path("/fifo").c_str(), 0600), 0);
    Result<RootFs> fs = RootFs::open(tree.root());
    ASSERT_TRUE(fs.ok());
    EXPECT_EQ(fs->read("/big", 99), std::nullopt);
    EXPECT_EQ(fs->read("/big", 100)->size(), 100u);
    EXPECT_EQ(fs->read("/fifo", 100), std::nullopt);
    EXPECT_EQ(fs->read("/directory", 100), std::nullopt);
}

TEST(RootFs, NothingIsFoundOnceTheLimitIsReached) {
    TempTree tree;
    tree.file("/a", std::string(60, 'a'));
    tree.file("/b", std::string(60, 'b'));
    Result<RootFs> fs = RootFs::open(tree.root());
    ASSERT_TRUE(fs.ok());
    fs->limit(100, 100);
    EXPECT_EQ(fs->read("/a", 10), std::nullopt);  // larger than the caller wants: that is no end
    EXPECT_TRUE(fs->read("/a", 100));
    EXPECT_FALSE(fs->is_spent());
    EXPECT_EQ(fs->read("/b", 100), std::nullopt);
    EXPECT_TRUE(fs->is_spent());
    EXPECT_EQ(fs->resolve("/a"), std::nullopt);
    fs = RootFs::open(tree.root());
    ASSERT_TRUE(fs.ok());
    fs->limit(2, 100);
    EXPECT_TRUE(fs->find("/a"));
    EXPECT_FALSE(fs->find("/c"));
    EXPECT_FALSE(fs->is_spent());
    EXPECT_FALSE(fs->find("/a"));
    EXPECT_TRUE(fs->is_spent());
}

TEST(RootFs, PathsThatTheKernelPrinted) {
    TempTree tree;
    Result<RootFs> fs = RootFs::open(tree.root());
    ASSERT_TRUE(fs.ok());
    EXPECT_EQ(fs->inside(tree.root() + "/usr/bin/node"), "/usr/bin/node");
    EXPECT_EQ(fs->inside(tree.root()), "/");
    EXPECT_EQ(fs->inside(tree.root() + "x/y"), tree.root() + "x/y");
    Result<RootFs> host = RootFs::open("");
    ASSERT_TRUE(host.ok());
    EXPECT_EQ(host->inside("/usr/bin/node"), "/usr/bin/node");
}

TEST(RootFs, LexicalPaths) {
    EXPECT_EQ(absolute_path("b/../c/./d", "/a"), "/a/c/d");
    EXPECT_EQ(absolute_path("/x//y/", "/a"), "/x/y");
    EXPECT_EQ(absolute_path("../../..", "/a"), "/");
    EXPECT_EQ(parent_directory("/a/b"), "/a");
    EXPECT_EQ(parent_directory("/a"), "/");
    EXPECT_EQ(parent_directory("/"), "/");
    EXPECT_EQ(base_name("/a/b"), "b");
}

}  // namespace
}  // namespace callgate
