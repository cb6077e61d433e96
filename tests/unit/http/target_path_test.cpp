#include "http/target_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace callgate {
namespace {

TEST(TargetPath, SpellingsOfOnePath) {
    for (const char* same :
         {"/mcp",          "/MCP",        "/mcp/",   "//mcp",   "/mcp//",    "/./mcp",      "/mcp/.", "/x/../mcp",
          "/../mcp",       "/%6dcp",      "/%6Dcp",  "/%4dcp",  "/%256dcp",  "/mcp;a=b",    "/mcp;",  "/;x/mcp",
          "/x/%2e%2e/mcp", "/x/.%2E/mcp", "/%2fmcp", "/%5cmcp", "/mcp/x/..", "/x/..;y/mcp", "mcp"})
        EXPECT_EQ(loosest_path(same), "/mcp") << same;
    for (const char* root : {"", "/", "//", "/.", "/..", "/x/..", "/x/../.."}) EXPECT_EQ(loosest_path(root), "/") << root;
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

TEST(TargetPath, Readings) {
    EXPECT_THAT(path_readings("/mcp"), ::testing::Each("/mcp"));
    EXPECT_THAT(path_readings("/a/%2e%2e/mcp"), ::testing::IsSupersetOf({"/a/%2e%2e/mcp", "/a/../mcp", "/mcp"}));
    EXPECT_THAT(path_readings("//evil/mcp"), ::testing::IsSupersetOf({"/evil/mcp", "/mcp"}));
    for (const char* path : {"/a/%2e%2e/mcp", "//%252e//..", "/", ""}) EXPECT_LE(path_readings(path).size(), 28u) << path;
}

TEST(TargetPath, MayReach) {
    for (const char* path : {"/mcp", "/mcp/", "/MCP/x", "/%6dcp", "/%256dcp", "//mcp", "/x/../mcp", "/x/%2e%2e/mcp", "/mcp;a",
                             // a server that mounts the path and resolves nothing
                             "/mcp/..", "/mcp/../x", "/mcp/%2e%2e/x", "/mcp/%252e%252e/x", "/mcp%2f..%2fx",
                             // one that resolves first and decodes then
                             "/a/../%6dcp/%2e%2e", "/x/..%2fmcp", "/mcp%252f..",
                             // //host/path to a reader of URL references
                             "//evil/mcp", "///evil/mcp", "//evil/x/../mcp", "//evil/%6dcp/x"})
        EXPECT_TRUE(may_reach(path, "/mcp")) << path;
    for (const char* path : {"/", "", "/mcpx", "/evil/mcp", "/x", "/x/mcp", "/%6dcpx", "//mcpx", "/mc/p", "/mcp%41"})
        EXPECT_FALSE(may_reach(path, "/mcp")) << path;
    EXPECT_TRUE(may_reach("/mcp", "/Mcp/"));
    EXPECT_TRUE(may_reach("//evil", "/"));
    EXPECT_TRUE(may_reach("/anything", ""));
}

}  // namespace
}  // namespace callgate
