#include "jsonrpc/keys.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

class KeysTest : public ::testing::Test {
  protected:
    // Adds the keys of one object; true where one of them occurs twice.
    bool has_duplicate(const std::vector<std::string>& keys) {
        std::string line;
        for (const std::string& key : keys) line += key + ' ';
        stack_.reset(line.data());
        stack_.open();
        bool found = false;
        const char* at = line.data();
        for (const std::string& key : keys) {
            const bool escaped = key.find('\\') != std::string::npos;
            const StringToken token{at, at + key.size(), escaped ? StringToken::kEscaped : uint8_t{0}};
            std::string_view text;
            found |= stack_.add(token, text) == KeyStack::Outcome::duplicate;
            at += key.size() + 1;
        }
        return stack_.close().has_value() || found;
    }

    KeyStack stack_;
};

TEST_F(KeysTest, EveryPairOfPositionsIsCompared) {
    for (const size_t count : {2, 5, 16, 17, 18, 40}) {
        for (size_t first = 0; first < count; ++first) {
            for (size_t second = first + 1; second < count; ++second) {
                std::vector<std::string> keys;
                for (size_t i = 0; i < count; ++i) keys.push_back("key" + std::to_string(i));
                EXPECT_FALSE(has_duplicate(keys));
                keys[second] = "k\\u0065y" + std::to_string(first);
                EXPECT_TRUE(has_duplicate(keys)) << count << ' ' << first << ' ' << second;
            }
        }
    }
}

TEST_F(KeysTest, KeysOfEveryLengthDiffer) {
    std::vector<std::string> keys;
    for (size_t length = 0; length < 60; ++length) keys.push_back(std::string(length, 'a'));
    EXPECT_FALSE(has_duplicate(keys));
    keys.push_back(std::string(33, 'a'));
    EXPECT_TRUE(has_duplicate(keys));
}

TEST(LenientMatch, CaseFoldsAndNuls) {
    for (const std::string_view key : {std::string_view("Method"), std::string_view("METHOD"), std::string_view("method\0", 7),
                                       std::string_view("Method\0x", 8)}) {
        EXPECT_TRUE(is_lenient_match(key, {"method"})) << key;
    }
    EXPECT_TRUE(is_lenient_match("ta\u017f\u212a", {"task"}));
    EXPECT_TRUE(is_lenient_match(std::string_view("GR\u00d6SSE\0", 8), {"gr\u00f6\u00dfe"}));
    EXPECT_TRUE(is_lenient_match("inputRe\u017fponse\u017f", {"inputResponses"}));
    for (const std::string_view key : {"method", "metho", "methods", "", "m\u017fthod", "_method"}) {
        EXPECT_FALSE(is_lenient_match(key, {"method"})) << key;
    }
}

}  // namespace
}  // namespace callgate
