#include "jsonrpc/tools_list.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

struct Filtered {
    ToolsListFilter filter;
    std::string out;
};

Filtered hide(std::string_view line, std::vector<std::string> names) {
    Filtered result;
    result.filter = filter_tools_list(
        line, [&](std::string_view name) { return std::find(names.begin(), names.end(), name) != names.end(); }, result.out);
    return result;
}

TEST(ToolsList, CutsTheElementAndOneComma) {
    constexpr std::string_view kLine = R"({"id":1,"result":{"tools":[{"name":"a"},{"name":"b"},{"name":"c"}],"x":1}})"
                                       "\n";
    EXPECT_EQ(hide(kLine, {"a"}).out, R"({"id":1,"result":{"tools":[{"name":"b"},{"name":"c"}],"x":1}})"
                                      "\n");
    EXPECT_EQ(hide(kLine, {"b"}).out, R"({"id":1,"result":{"tools":[{"name":"a"},{"name":"c"}],"x":1}})"
                                      "\n");
    EXPECT_EQ(hide(kLine, {"c"}).out, R"({"id":1,"result":{"tools":[{"name":"a"},{"name":"b"}],"x":1}})"
                                      "\n");
    EXPECT_EQ(hide(kLine, {"a", "c"}).out, R"({"id":1,"result":{"tools":[{"name":"b"}],"x":1}})"
                                           "\n");
    EXPECT_EQ(hide(kLine, {"a", "b", "c"}).out, R"({"id":1,"result":{"tools":[],"x":1}})"
                                                "\n");
    EXPECT_EQ(hide(kLine, {"a", "c"}).filter.hidden, (std::vector<std::string>{"a", "c"}));
}

TEST(ToolsList, LeavesTheOutputAloneWhereNothingIsHidden) {
    const Filtered none = hide(R"({"id":1,"result":{"tools":[{"name":"a"}],"cacheScope":"public"}})", {"b"});
    EXPECT_TRUE(none.filter.is_tools_list);
    EXPECT_TRUE(none.filter.hidden.empty());
    EXPECT_EQ(none.out, "");
    EXPECT_TRUE(hide(R"({"id":1,"result":{"tools":[]}})", {"b"}).filter.is_tools_list);
}

TEST(ToolsList, KeepsWhitespaceAndEveryOtherByte) {
    EXPECT_EQ(hide("{ \"id\" : 1 , \"result\" : { \"tools\" : [ {\"name\" : \"a\"} ,\t{ \"name\":\"b\" , "
                   "\"n\":1.50 } ] } } \r\n",
                   {"a"})
                  .out,
              "{ \"id\" : 1 , \"result\" : { \"tools\" : [ { \"name\":\"b\" , \"n\":1.50 } ] } } \r\n");
}

TEST(ToolsList, DecodesNames) {
    EXPECT_EQ(hide(R"({"id":1,"r\u0065sult":{"t\u006fols":[{"n\u0061me":"\u0062"},{"name":"a"}]}})", {"b"}).out,
              R"({"id":1,"r\u0065sult":{"t\u006fols":[{"name":"a"}]}})");
}

TEST(ToolsList, OnlyTheToolsOwnNameCounts) {
    constexpr std::string_view kLine =
        R"({"id":1,"tools":[{"name":"b"}],"result":{"x":{"tools":[{"name":"b"}]},"tools":[{"name":"a","inputSchema":{"name":"b"}}]}})";
    EXPECT_TRUE(hide(kLine, {"b"}).filter.hidden.empty());
}

TEST(ToolsList, APublicScopeBecomesPrivate) {
    EXPECT_EQ(hide(R"({"id":1,"result":{"cacheScope":"public","tools":[{"name":"a"}]}})", {"a"}).out,
              R"({"id":1,"result":{"cacheScope":"private","tools":[]}})");
    EXPECT_EQ(
        hide(
            R"({"id":1,"result":{"tools":[{"name":"a","cacheScope":"public"},{"name":"b","cacheScope":"public"}],"cacheScope":"p\u0075blic"},"cacheScope":"public"})",
            {"a"})
            .out,
        R"({"id":1,"result":{"tools":[{"name":"b","cacheScope":"public"}],"cacheScope":"private"},"cacheScope":"public"})");
    EXPECT_EQ(hide(R"({"id":1,"result":{"tools":[{"name":"a"}],"cacheScope":"private"}})", {"a"}).out,
              R"({"id":1,"result":{"tools":[],"cacheScope":"private"}})");
}

// Go and C# take a key in another case for the one that is meant, and of two they take the last.
TEST(ToolsList, AHiddenToolIsCutUnderWhateverSpellingOfItsKey) {
    for (const char* hidden : {R"({"Name":"b"})", R"({"NAME":"b"})", R"({"name":"a","Name":"b"})", R"({"Name":"b","name":"a"})",
                               R"({"n\u0041me":"b"})"}) {
        const std::string begin = R"({"id":1,"result":{"tools":[)", end = "]}}";
        EXPECT_EQ(hide(begin + hidden + R"(,{"name":"c"})" + end, {"b"}).out, begin + R"({"name":"c"})" + end) << hidden;
    }
    EXPECT_EQ(hide(R"({"id":1,"Result":{"TOOLS":[{"name":"b"}]}})", {"b"}).out, R"({"id":1,"Result":{"TOOLS":[]}})");
    EXPECT_EQ(
        hide(
            R"({"id":1,"result":{"tools":[{"name":"b"},{"name":"a"}],"cacheScope":"public","Tools":[{"name":"c"},{"name":"b"}]}})",
            {"b"})
            .out,
        R"({"id":1,"result":{"tools":[{"name":"a"}],"cacheScope":"private","Tools":[{"name":"c"}]}})");
}

TEST(ToolsList, WhatIsNoListOfToolsIsLeftAlone) {
    for (const char* line :
         {R"({"id":1,"result":{"tools":{}}})", R"({"id":1,"result":{"tools":[1,{"name":"a"}]}})",
          R"({"id":1,"result":{"tools":[[],{"name":"a"}]}})", R"({"id":1,"result":[{"tools":[{"name":"a"}]}]})",
          R"({"id":1,"result":{}})", R"({"id":1,"error":{"tools":[{"name":"a"}]}})", "not json"}) {
        const Filtered result = hide(line, {"a"});
        EXPECT_FALSE(result.filter.is_tools_list) << line;
        EXPECT_EQ(result.out, "") << line;
    }
}

}  // namespace
}  // namespace callgate
