#include "policy/glob.h"

#include <fnmatch.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "../../slowness.h"

namespace callgate {
namespace {

TEST(Glob, Matches) {
    EXPECT_TRUE(glob_match("read_*", "read_file"));
    EXPECT_TRUE(glob_match("read_*", "read_"));
    EXPECT_FALSE(glob_match("read_*", "read"));
    EXPECT_FALSE(glob_match("read_*", "unread_file"));
    EXPECT_TRUE(glob_match("*", ""));
    EXPECT_TRUE(glob_match("*", "a/b.c"));
    EXPECT_TRUE(glob_match("*_file_*", "a_file_file_b"));
    EXPECT_TRUE(glob_match("a?c", "abc"));
    EXPECT_FALSE(glob_match("a?c", "ac"));
    EXPECT_TRUE(glob_match("[a-c]x", "bx"));
    EXPECT_FALSE(glob_match("[!a-c]x", "bx"));
    EXPECT_TRUE(glob_match("[]a]", "]"));
    EXPECT_TRUE(glob_match("[a-]", "-"));
    EXPECT_TRUE(glob_match("\\*", "*"));
    EXPECT_FALSE(glob_match("\\*", "a"));
    EXPECT_FALSE(glob_match("", "a"));
    EXPECT_TRUE(glob_match("", ""));
}

TEST(Glob, CharactersAreUtf8Sequences) {
    EXPECT_TRUE(glob_match("?", "\u20ac"));
    EXPECT_FALSE(glob_match("??", "\u20ac"));
    EXPECT_TRUE(glob_match("[\u00e0-\u00ff]", "\u00e9"));
    EXPECT_TRUE(glob_match("?", "\xff"));
    EXPECT_TRUE(glob_match("a?b", std::string_view("a\0b", 3)));
    EXPECT_FALSE(glob_match("[\u00e0-\u00ff]", "\xe9"));
}

TEST(Glob, AgreesWithFnmatchOnSmallPatterns) {
    std::mt19937 random(1);
    const auto draw = [&](std::string_view alphabet, size_t length_max) {
        std::string out;
        for (size_t n = random() % (length_max + 1); n > 0; --n) out += alphabet[random() % alphabet.size()];
        return out;
    };
    int compared = 0;
    for (int i = 0; i < 200'000; ++i) {
        const std::string pattern = draw("ab*?[]!-\\", 8);
        const std::string text = draw("ab-!]\\", 7);
        // What glob_problem() refuses may mean anything. So may a range such as [b-a], or "^" for fnmatch(3).
        if (!glob_problem(pattern).empty() && !pattern.empty()) continue;
        if (pattern.find('-') != pattern.npos && pattern.find('[') != pattern.npos) continue;
        ++compared;
        ASSERT_EQ(glob_match(pattern, text), fnmatch(pattern.c_str(), text.c_str(), 0) == 0) << pattern << "  against  " << text;
    }
    EXPECT_GT(compared, 50'000);
}

TEST(Glob, ManyStarsStayCheap) {
    std::string pattern;
    for (int i = 0; i < 30; ++i) pattern += "*a";
    pattern += "b";
    const std::string text(20'000, 'a');
    const auto start = std::chrono::steady_clock::now();
    EXPECT_FALSE(glob_match(pattern, text));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2 * kSlowness));
}

TEST(Glob, ProblemsOfPatterns) {
    EXPECT_EQ(glob_problem("read_[a-z]*"), "");
    EXPECT_NE(glob_problem("").find("empty"), std::string::npos);
    EXPECT_NE(glob_problem("a[b").find("bracket"), std::string::npos);
    EXPECT_NE(glob_problem("a\\").find("backslash"), std::string::npos);
    EXPECT_NE(glob_problem("[[:digit:]]").find("[0-9]"), std::string::npos);
}

TEST(Glob, RankPutsTheMostSpecificFirst) {
    EXPECT_TRUE(glob_rank("read_file_*").is_before(glob_rank("read_*")));
    EXPECT_TRUE(glob_rank("read_*").is_before(glob_rank("*")));
    EXPECT_TRUE(glob_rank("read_*").is_before(glob_rank("*read_*")));
    EXPECT_TRUE(glob_rank("a\\*b").is_before(glob_rank("a[xyz]b")));
    EXPECT_FALSE(glob_rank("a*").is_before(glob_rank("b*")));
}

}  // namespace
}  // namespace callgate
