#include "jsonrpc/lenient_method.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/limits.h"

namespace callgate {
namespace {

std::vector<std::string> methods(std::string_view text) {
    std::vector<std::string> found;
    any_lenient_method(text, [&](std::optional<std::string_view> name) {
        found.emplace_back(name ? std::string(*name) : "?");
        return false;
    });
    return found;
}
using Names = std::vector<std::string>;

TEST(LenientMethod, InWhateverSpelling) {
    EXPECT_EQ(methods(R"({"method":"a","m\u0065thod" : "b","x":1e999})"), (Names{"a", "b"}));
    EXPECT_EQ(methods(R"({"METHOD":"a"})"), Names{"a"});
    EXPECT_EQ(methods(R"({"\u004dethod":"\u0061\/b"})"), Names{"a/b"});
    EXPECT_EQ(methods(std::string_view("{\"method\0\":\"a\"}", 15)), Names{"a"});
    EXPECT_EQ(methods(R"({"method\u0000\u0000":"a"})"), Names{"a"});
    EXPECT_EQ(methods("{'method' :\r\n 'a\"b'}"), Names{"a\"b"});
    EXPECT_EQ(methods("{ method: a/b,x:1}"), Names{"a/b"});
    EXPECT_EQ(methods("{x:1, method: a}"), Names{"a"});
    EXPECT_EQ(methods(R"(text {"method": a})"), Names{"a"});
}

TEST(LenientMethod, NotToldWhereItStandsElsewhere) {
    EXPECT_EQ(methods("\"method\""), Names{"?"});
    EXPECT_EQ(methods("\"method\"  \n"), Names{"?"});
    EXPECT_EQ(methods("{\"method\": \n"), Names{"?"});
    EXPECT_EQ(methods("{\"method\":\"a"), Names{"?"});
    EXPECT_EQ(methods("{\"method\":\"a\\"), Names{"?"});
    EXPECT_EQ(methods("{\"method\":\"" + std::string(7 * kNameBytesMax, 'a') + "\"}"), Names{"?"});
}

TEST(LenientMethod, NotWhatOnlyLooksLikeIt) {
    for (const char* text : {"", "m", "\\", "\\u00", "method", R"({"a":"\"method\":\"b\""})", R"({"methods":"a"})",
                             R"({"a":"method"})", R"({"method":{"type":"string"}})", R"({"method":7,"x":["method",1]})",
                             R"({"method" "a"})", "calling method: a", R"({"amethod":"b"})", R"({'method":"b"})", "met\\u0068"})
        EXPECT_EQ(methods(text), Names{}) << text;
}

// What a server prints must not hold the agent up.
TEST(LenientMethod, TakesTimeThatGrowsWithTheTextOnly) {
    constexpr size_t kBytes = size_t{4} << 20;
    for (const std::string_view piece :
         {"\"method\":'", "method:", "{method  ", "{method:a", "\"method\":a", "'method':a", "\\u006d", "\"method\\u0000"}) {
        std::string text;
        while (text.size() < kBytes) text += piece;
        size_t bytes = 0;
        any_lenient_method(text, [&](std::optional<std::string_view> name) {
            bytes += name ? name->size() : 0;
            return false;
        });
        EXPECT_LE(bytes, text.size()) << piece;
        any_lenient_text(text, [](std::string_view) { return false; });
    }
}

TEST(LenientText, EveryTextBetweenQuotes) {
    const auto has = [](std::string_view text, std::string_view name) {
        return any_lenient_text(text, [&](std::string_view found) { return found == name; });
    };
    EXPECT_TRUE(has(R"({"name":"secret",})", "secret"));
    EXPECT_TRUE(has(R"({"name":"s\u0065cret",})", "secret"));
    EXPECT_TRUE(has(R"({'name':'secret'})", "secret"));
    EXPECT_TRUE(has(R"(it's {"name":"secret"})", "secret"));
    EXPECT_FALSE(has(R"({"name":"secrets"})", "secret"));
    EXPECT_FALSE(has("secret", "secret"));
}

}  // namespace
}  // namespace callgate
