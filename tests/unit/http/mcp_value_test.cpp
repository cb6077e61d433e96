#include "http/mcp_value.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace callgate {
namespace {

TEST(McpValue, PlainAndEncoded) {
    EXPECT_EQ(decode_mcp_value("echo"), "echo");
    EXPECT_EQ(decode_mcp_value(""), "");
    EXPECT_EQ(decode_mcp_value("=?base64?ZWNobw==?="), "echo");
    EXPECT_EQ(decode_mcp_value("=?base64?ZWNobzE=?="), "echo1");
    EXPECT_EQ(decode_mcp_value("=?base64?ZWNobzEy?="), "echo12");
    EXPECT_EQ(decode_mcp_value("=?base64?+/+/?="), "\xfb\xff\xbf");
    EXPECT_EQ(decode_mcp_value("=?base64?"
                               "?="),
              "");
    EXPECT_EQ(decode_mcp_value("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="), "=?base64?literal?=");
}

TEST(McpValue, MarkersHaveACase) {
    EXPECT_EQ(decode_mcp_value("=?BASE64?ZWNobw==?="), "=?BASE64?ZWNobw==?=");
    EXPECT_EQ(decode_mcp_value("=?base64?ZWNobw=="), "=?base64?ZWNobw==");
    EXPECT_EQ(decode_mcp_value("=?base64?="), "=?base64?=");
    EXPECT_EQ(decode_mcp_value(" =?base64?ZWNobw==?="), " =?base64?ZWNobw==?=");
}

TEST(McpValue, OnlyCanonicalBase64) {
    for (const char* bad :
         {"=?base64?!?=", "=?base64?ZWNobw?=", "=?base64?ZWNobx==?=", "=?base64?ZWNobzF=?=", "=?base64?ZW NobzEy?=",
          "=?base64?ZWNobw==ZWNobw==?=", "=?base64?====?=", "=?base64?Z===?=", "=?base64?-_-_?=", "=?base64?ZWN=bw==?="})
        EXPECT_EQ(decode_mcp_value(bad), std::nullopt) << bad;
}

TEST(McpValue, Bounded) {
    const std::string longest(kNameBytesMax, 'x');
    EXPECT_EQ(decode_mcp_value(longest), longest);
    EXPECT_EQ(decode_mcp_value(longest + "x"), std::nullopt);
    std::string encoded = "=?base64?";
    for (size_t i = 0; i < kNameBytesMax / 3; ++i) encoded += "AAAA";
    EXPECT_EQ(decode_mcp_value(encoded + "AA==?="), std::string(kNameBytesMax, '\0'));
    EXPECT_EQ(decode_mcp_value(encoded + "AAA=?="), std::nullopt);
}

}  // namespace
}  // namespace callgate
