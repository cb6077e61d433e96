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
