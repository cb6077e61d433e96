#include "http/target_path.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

TEST(TargetPath, SpellingsOfOnePath) {
    for (const char* same : {"/mcp", "/MCP", "/mcp/", "//mcp", "/mcp//", "/./mcp", "/mcp/.", "/x/../mcp", "/../mcp",
                             "/%6dcp", "/%6Dcp", "/%4dcp", "/%256dcp", "/mcp;a=b", "/mcp;", "/;x/mcp", "/x/%2e%2e/mcp",
                             "/x/.%2E/mcp", "/%2fmcp", "/%5cmcp", "/mcp/x/..", "/x/..;y/mcp", "mcp"})
        EXPECT_EQ(loosest_path(same), "/mcp") << same;
    for (const char* root : {"", "/", "//", "/.", "/..", "/x/..", "/x/../.."})
        EXPECT_EQ(loosest_path(root), "/") << root;
    for (const auto& [path, loosest] : {std::pair<const char*, const char*>{"/mcp/x", "/mcp/x"},
                                        {"/mcpx", "/mcpx"},
                                        {"/%", "/%"},
                                        {"/%6", "/%6"},
                                        {"/%zz", "/%zz"},
                                        {"/%6g", "/%6g"},
                                        {"/...", "/..."},
                                        {"/a/b/../c", "/a/c"}})
        EXPECT_EQ(loosest_path(path), loosest) << path;
}

TEST(TargetPath, MayReach) {
    EXPECT_TRUE(may_reach("/%6dcp", "/mcp"));
    EXPECT_TRUE(may_reach("/mcp", "/Mcp/"));
    EXPECT_TRUE(may_reach("//mcp", "/mcp"));
    EXPECT_TRUE(may_reach("//evil/mcp", "/mcp"));  // //host/path to a reader of URL references
    EXPECT_TRUE(may_reach("//evil", "/"));
    EXPECT_FALSE(may_reach("/evil/mcp", "/mcp"));
    EXPECT_FALSE(may_reach("/mcp/other", "/mcp"));
    EXPECT_FALSE(may_reach("/", "/mcp"));
}

}  // namespace
}  // namespace callgate
