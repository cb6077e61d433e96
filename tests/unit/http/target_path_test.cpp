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
    EXPECT_THAT(path_readings("/mcp%0a"), ::testing::ElementsAre("/mcp%0a", "/mcp\n", "/mcp"));
    EXPECT_THAT(path_readings("/a;b"), ::testing::ElementsAre("/a"));
    for (const char* path : {"/a/%2e%2e/mcp", "//%252e//..", "/", ""}) EXPECT_LE(path_readings(path).size(), 28u) << path;
    // Whatever it holds.
    std::string path = "//x";
    while (path.size() < 1000) path.append("/%253f%252e./..%250a/%3f;%2f%252e%252e%23;%0a/%5c..;..");
    EXPECT_LE(path_readings(path).size(), 208u);
}

TEST(TargetPath, MayReach) {
    for (const char* path : {"/mcp", "/mcp/", "/MCP/x", "/%6dcp", "/%256dcp", "//mcp", "/x/../mcp", "/x/%2e%2e/mcp", "/mcp;a",
                             // a server that mounts the path and resolves nothing
                             "/mcp/..", "/mcp/../x", "/mcp/%2e%2e/x", "/mcp/%252e%252e/x", "/mcp%2f..%2fx",
                             // one that resolves first and decodes then
                             "/a/../%6dcp/%2e%2e", "/x/..%2fmcp", "/mcp%252f..",
                             // one to which ";" is a byte like any other
                             "/x;%2f..%2f..%2fmcp",
                             // one that overlooks blanks and control bytes: Starlette does at the end
                             "/mcp%0a", "/mcp%0A", "/mcp%250a", "/mcp%20", "/mcp%0d%0a", "/m%09cp", "/x/../mcp/%0a/..",
                             // one that splits off the query after decoding
                             "/mcp%3fx", "/mcp%23x", "/mcp%253f", "/x%3f/../../mcp", "/mcp%0a%3fx",
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
