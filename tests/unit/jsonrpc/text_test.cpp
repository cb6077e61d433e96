#include "jsonrpc/text.h"

#include <gtest/gtest.h>

#include "jsonrpc/id.h"

namespace callgate {
namespace {

TEST(Text, Utf8SequencesOfTheStandardsTable) {
    const auto length = [](std::string_view bytes) { return utf8_sequence_length(bytes.data(), bytes.data() + bytes.size()); };
    for (const char* whole : {"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
                              "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
        const std::string_view bytes = whole;
        EXPECT_EQ(length(bytes), static_cast<int>(bytes.size()));
        EXPECT_EQ(length(bytes.substr(0, bytes.size() - 1)), 0);
    }
    for (const char* ill : {"\x80\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff\xff", "\xc2\xc2", "\xe1\x80\x7f"}) {
        EXPECT_EQ(length(ill), 0) << ill;
    }
}

// Every special byte at every distance, with readable bytes on both sides of the range.
TEST(Text, FindSpecialAtEveryOffset) {
    for (size_t size = 0; size < 500; size += size < 150 ? 1 : 37) {
        const std::string plain(size, 'x');
        EXPECT_EQ(find_special(plain.data(), plain.data() + size, plain.data()), plain.data() + size);
        for (const char special : {'"', '\\', '\x1f', '\0', '\x80', '\xff'}) {
            for (size_t at = 0; at < size; ++at) {
                std::string text = plain;
                text[at] = special;
                for (const size_t from : {size_t{0}, at / 2, at}) {
                    EXPECT_EQ(find_special(text.data() + from, text.data() + size, text.data()), text.data() + at);
                }
            }
        }
    }
}

TEST(Text, Decoding) {
    std::string out;
    append_decoded(out, R"(a\"\\\/\b\f\n\r\tA\u00e9\u6f22\ud83d\ude00z)");
    EXPECT_EQ(out, "a\"\\/\b\f\n\r\tA\u00e9\u6f22\U0001f600z");
}

TEST(Id, Integers) {
    for (const char* valid : {"0", "7", "-1", "9007199254740991", "-9007199254740991"}) EXPECT_TRUE(is_valid_integer_id(valid));
    for (const char* invalid : {"", "-", "-0", "1.0", "1e2", "9007199254740992", "-9007199254740992", "99999999999999999999"}) {
        EXPECT_FALSE(is_valid_integer_id(invalid)) << invalid;
    }
}

}  // namespace
}  // namespace callgate
