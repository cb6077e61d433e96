#include "audit/safe_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace callgate {
namespace {

std::string json_text(std::string_view text) {
    std::string out;
    append_json_text(out, text);
    return out;
}

std::string json_value(std::string_view text) {
    std::string out;
    append_json_value(out, text);
    return out;
}

TEST(SafeText, JsonText) {
    EXPECT_EQ(json_text("plain"), "\"plain\"");
    EXPECT_EQ(json_text("a\"b\\c\n\t"), R"("a\"b\\c\n\t")");
    EXPECT_EQ(json_text(std::string_view("\0\x1b[31m\x7f", 7)), R"("\u0000\u001b[31m\u007f")");
    EXPECT_EQ(json_text("\u00e9\u20ac\U0001f600"), "\"\u00e9\u20ac\U0001f600\"");
    EXPECT_EQ(json_text("\u0085\u009b"), R"("\u0085\u009b")");
    EXPECT_EQ(json_text("\u2028\u202e\u2066\u200f\u061c\ufeff"), R"("\u2028\u202e\u2066\u200f\u061c\ufeff")");
    EXPECT_EQ(json_text("\U000e0041"), R"("\udb40\udc41")");
}

TEST(SafeText, DocumentsKeepTheirLinesAndTheirValues) {
    const std::string written = "{\n  \"a\u202eb\": \"\u009b31m \\n\",\n\t\"c\": [1, \"\u00e9\"]\n}\n";
    const std::string safe = safe_json_document(written);
    EXPECT_EQ(safe, "{\n  \"a\\u202eb\": \"\\u009b31m \\n\",\n \"c\": [1, \"\u00e9\"]\n}\n");
    EXPECT_EQ(nlohmann::json::parse(safe), nlohmann::json::parse(written));
    EXPECT_EQ(safe_json_document("{}"), "{}");
}

TEST(SafeText, WhatIsNotSeenIsEscaped) {
    EXPECT_EQ(terminal_text("a\u200bb\u200c\u200d\u2060\u2064\u00ad"), "a\\u200bb\\u200c\\u200d\\u2060\\u2064\\u00ad");
    EXPECT_EQ(terminal_text("\u202a\u202e\u2066\u2069\u180e\u3164\uffa0\u115f\u034f"),
              "\\u202a\\u202e\\u2066\\u2069\\u180e\\u3164\\uffa0\\u115f\\u034f");
    EXPECT_EQ(terminal_text("\ufe0f\U000e0020\U000e007f\U000e0100\U000e0fff"),
              "\\ufe0f\\udb40\\udc20\\udb40\\udc7f\\udb40\\udd00\\udb43\\udfff");
    const char* seen = "\u00a0\u00ac\u00ae\u2010\u2027\u202f\u205f\u2070\u3163\u3165\ufdff\ufe10\U0001f600\U000e1000";
    EXPECT_EQ(terminal_text(seen), seen);
    EXPECT_EQ(json_text("x\u200by"), R"("x\u200by")");
}

TEST(SafeText, WhatIsNotUtf8) {
    EXPECT_EQ(json_text("\xff"), R"("\ufffd")");
    EXPECT_EQ(json_text("\xc0\xaf"), R"("\ufffd\ufffd")");            // overlong
    EXPECT_EQ(json_text("\xed\xa0\x80"), R"("\ufffd\ufffd\ufffd")");  // surrogate
    EXPECT_EQ(json_text("\xf4\x90\x80\x80"), R"("\ufffd\ufffd\ufffd\ufffd")");
    EXPECT_EQ(json_text("\xe2\x82"), R"("\ufffd\ufffd")");  // cut short
}

TEST(SafeText, JsonValueKeepsItsMeaning) {
    EXPECT_EQ(json_value("7"), "7");
    EXPECT_EQ(json_value(R"("a\n\"b")"), R"("a\n\"b")");
    EXPECT_EQ(json_value("{\"a\":\n\"\u202e\"}"), "{\"a\": \"\\u202e\"}");
}

TEST(SafeText, Terminal) {
    EXPECT_EQ(terminal_text("a \"b\" \\ \x1b]0;x\x07"), "a \"b\" \\ \\u001b]0;x\\u0007");
    EXPECT_EQ(terminal_text("line\nbreak\xff"), "line\\u000abreak\\ufffd");
}

TEST(SafeText, AnyBytesGiveJsonThatReadsBack) {
    std::mt19937 random(7);
    for (int round = 0; round < 2000; ++round) {
        std::string text(random() % 40, '\0');
        for (char& c : text) c = static_cast<char>(random() % 3 == 0 ? random() : 0xe0 + random() % 16);
        const std::string json = json_text(text);
        EXPECT_TRUE(nlohmann::json::accept(json)) << json;
        for (char c : json) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    }
}

}  // namespace
}  // namespace callgate
