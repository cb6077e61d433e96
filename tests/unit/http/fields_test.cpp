#include "http/fields.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

TEST(KnownField, IsFoundInAnyCaseAndNamed) {
    EXPECT_EQ(known_field("Content-Length"), KnownField::content_length);
    EXPECT_EQ(known_field("MCP-SESSION-ID"), KnownField::mcp_session_id);
    EXPECT_EQ(known_field("content_length"), KnownField::other);
    EXPECT_EQ(known_field("content-lengths"), KnownField::other);
    EXPECT_EQ(known_field(""), KnownField::other);
    EXPECT_EQ(name(KnownField::mcp_name), "mcp-name");
    EXPECT_EQ(name(KnownField::other), "");
    for (uint8_t i = 0; i < static_cast<uint8_t>(KnownField::other); ++i)
        EXPECT_EQ(known_field(name(static_cast<KnownField>(i))), static_cast<KnownField>(i));
}

TEST(Fields, FindSaysNoneOneOrMany) {
    Fields fields;
    for (const auto& [name, value] : {std::pair<std::string_view, std::string_view>{"Host", "a"},
                                      {"X", "1"},
                                      {"Mcp-Name", "b"},
                                      {"mcp-name", "b"},
                                      {"Upgrade", ""},
                                      {"x", "2"},
                                      {"Y", "3"}})
        fields.add({name, value, known_field(name)});
    EXPECT_TRUE(fields.find(KnownField::host).is("a"));
    EXPECT_FALSE(fields.find(KnownField::host).is("b"));
    EXPECT_TRUE(fields.find(KnownField::mcp_name).many());
    EXPECT_EQ(fields.find(KnownField::mcp_name).value, "");
    EXPECT_FALSE(fields.find(KnownField::mcp_name).is(""));
    EXPECT_TRUE(fields.find(KnownField::upgrade).one());
    EXPECT_TRUE(fields.find(KnownField::te).none());
    EXPECT_FALSE(fields.find(KnownField::te).is(""));
    EXPECT_TRUE(fields.find("X").many());
    EXPECT_TRUE(fields.find("y").is("3"));
    EXPECT_TRUE(fields.find("z").none());
    EXPECT_TRUE(fields.has(KnownField::mcp_name));
    EXPECT_FALSE(fields.has(KnownField::te));
    EXPECT_EQ(fields.all().size(), 7U);
    fields.clear();
    EXPECT_TRUE(fields.find(KnownField::host).none());
    EXPECT_TRUE(fields.all().empty());
}

TEST(Fields, ThreeAreManyToo) {
    Fields fields;
    for (int i = 0; i < 3; ++i) fields.add({"z", "", KnownField::other});
    EXPECT_TRUE(fields.find("Z").many());
}

}  // namespace
}  // namespace callgate
