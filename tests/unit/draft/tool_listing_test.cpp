#include "draft/tool_listing.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace callgate {
namespace {

std::string names(std::string_view text) {
    ToolListing listing;
    const Status status = listing.add_text(text, "file");
    if (!status.ok()) return status.error().text();
    std::string out;
    for (const ListedTool& tool : listing.tools()) out += tool.name + " ";
    return out;
}

TEST(ToolListing, EveryFormOfARecordedList) {
    EXPECT_EQ(names(R"({"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"b"}]}})"), "a b ");
    EXPECT_EQ(names(R"({"tools":[{"name":"a"}]})"), "a ");
    EXPECT_EQ(names(R"( [{"name":"a"}] )"), "a ");
    EXPECT_EQ(names("{\"result\":{\"tools\":[{\"name\":\"a\"}],\"nextCursor\":\"x\"}}\n{\"result\":{"
                    "\"tools\":[{\"name\":\"b\"}]}}\n"),
              "a b ");
    EXPECT_EQ(names("{\n \"tools\": [\n {\"name\":\"a\"}\n]\n}\n[{\"name\":\"b\"}]"), "a b ");
    EXPECT_EQ(names(R"([{"name":"a","description":"1"},{"name":"a","description":"2"}])"), "a ") << "the first counts";
}

TEST(ToolListing, OtherMessagesOfASessionAreLeftOut) {
    EXPECT_EQ(names("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":\"x\"}}\n"
                    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}\n"
                    "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"tools\":[{\"name\":\"a\"}]}}\n"),
              "a ");
}

TEST(ToolListing, WhatIsNoList) {
    EXPECT_EQ(names(""), "file: is empty");
    EXPECT_EQ(names("{\"tools\":[]}"), "file: lists no tools");
    EXPECT_NE(names("{\"tools\":").find("value 1 is no JSON"), std::string::npos);
    EXPECT_NE(names("[{\"name\":\"a\"}] x").find("value 2 is no JSON"), std::string::npos);
    EXPECT_NE(names("{\"a\":1}").find("no list of tools"), std::string::npos);
    EXPECT_NE(names("7").find("no list of tools"), std::string::npos);
    EXPECT_NE(names(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"No such method"}})").find("No such method"),
              std::string::npos);
}

TEST(ToolListing, WhatIsSaidOfATool) {
    ToolListing listing;
    ASSERT_TRUE(listing
                    .add_text(
                        R"([{"name":"a","description":"Does it.","annotations":{"readOnlyHint":true,"destructiveHint":"yes"},
      "inputSchema":{"properties":{"action":{"enum":["x","y",3]},"kind":{"oneOf":[{"const":"p"},{"const":"q"}]},"free":{"type":"string"}}}},
      {"name":7}, "text", {"description":"no name"}, {"name":""}])",
                        "file")
                    .ok());
    EXPECT_EQ(listing.left_out(), 4u);
    ASSERT_EQ(listing.tools().size(), 1u);
    const ListedTool& tool = listing.tools()[0];
    EXPECT_EQ(tool.description, "Does it.");
    EXPECT_EQ(tool.read_only, std::optional<bool>(true));
    EXPECT_EQ(tool.destructive, std::nullopt) << "no boolean";
    ASSERT_EQ(tool.parameters.size(), 3u);
    EXPECT_EQ(tool.parameters[0].values, (std::vector<std::string>{"x", "y"}));
    EXPECT_FALSE(tool.parameters[1].has_values);
    EXPECT_EQ(tool.parameters[2].values, (std::vector<std::string>{"p", "q"}));
}

TEST(ToolListing, PagesOfALiveServer) {
    ToolListing listing;
    Result<std::string> cursor = listing.add_answer(R"({"result":{"tools":[{"name":"a"}],"nextCursor":"c2"}})", "server");
    ASSERT_TRUE(cursor.ok());
    EXPECT_EQ(*cursor, "c2");
    cursor = listing.add_answer(R"({"result":{"tools":[]}})", "server");
    ASSERT_TRUE(cursor.ok());
    EXPECT_EQ(*cursor, "");
    EXPECT_FALSE(listing.add_answer("{", "server").ok());
    EXPECT_FALSE(listing.add_answer(R"({"result":{}})", "server").ok());
}

TEST(ToolListing, ThereIsABound) {
    std::string text = "[";
    for (size_t i = 0; i <= kDraftToolsMax; ++i) text += (i > 0 ? ",{\"name\":\"t" : "{\"name\":\"t") + std::to_string(i) + "\"}";
    EXPECT_NE(names(text + "]").find("more than"), std::string::npos);
}

}  // namespace
}  // namespace callgate
