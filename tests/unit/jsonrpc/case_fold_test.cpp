#include "jsonrpc/case_fold.h"

#include <gtest/gtest.h>

#include <string>

namespace callgate {
namespace {

TEST(CaseFold, LettersOfEveryScript) {
    EXPECT_TRUE(equal_folded("", ""));
    EXPECT_TRUE(equal_folded("Amount_1", "aMOUNT_1"));
    EXPECT_TRUE(equal_folded("gr\u00f6\u00dfe", "GR\u00d6\u1e9eE"));  // as Go and C# see it
    EXPECT_TRUE(equal_folded("gr\u00f6\u00dfe", "GR\u00d6SSE"));      // as capitals are written
    EXPECT_TRUE(equal_folded("\u03c3\u03c2", "\u03a3\u03a3"));
    EXPECT_TRUE(equal_folded("\u0446\u0435\u043d\u0430", "\u0426\u0415\u041d\u0410"));
    EXPECT_TRUE(equal_folded("ta\u017f\u212a", "TASK"));
    EXPECT_TRUE(equal_folded("\u00b5", "\u039c"));
    EXPECT_TRUE(equal_folded("\u00e5", "\u212b"));
    EXPECT_TRUE(equal_folded("m\u0131n", "MIN"));  // Java
    EXPECT_TRUE(equal_folded("m\u0130n", "min"));
    EXPECT_TRUE(equal_folded("\U00010428", "\U00010400"));
}

TEST(CaseFold, OtherLettersAreOthers) {
    for (const auto& [a, b] : {std::pair{"a", "b"},
                               {"a", ""},
                               {"", "a"},
                               {"a", "\u00e4"},
                               {"gr\u00f6\u00dfe", "GR\u00d6SE"},
                               {"[", "{"},
                               {"@", "`"},
                               {"\u00df", "s"},
                               {"s", "\u00df"},
                               {"a1", "a2"},
                               {"a ", "a"}}) {
        EXPECT_FALSE(equal_folded(a, b)) << a << ' ' << b;
    }
}

TEST(CaseFold, PrefixesEndBetweenCharacters) {
    EXPECT_EQ(folded_prefix("Tasks/get", "tasks/"), 6u);
    EXPECT_EQ(folded_prefix("ta\u017fks/get", "tasks/"), 7u);
    EXPECT_EQ(folded_prefix("\u00df", "s"), std::nullopt);
    EXPECT_EQ(folded_prefix("\u00dfx", "ss"), 2u);
    EXPECT_EQ(folded_prefix("ta", "tasks/"), std::nullopt);
    EXPECT_EQ(folded_prefix("TA", "ta\u0308"), std::nullopt);
    EXPECT_EQ(folded_prefix("TASSx", "ta\u00df"), 4u);
    EXPECT_EQ(folded_prefix("ta\u00df", "tas"), std::nullopt);
    EXPECT_EQ(folded_prefix("ta", ""), 0u);
    EXPECT_EQ(folded_prefix("", "ta"), std::nullopt);
}

TEST(CaseFold, IllFormedBytesAreOnlyThemselves) {
    EXPECT_TRUE(equal_folded("a\xff", "A\xff"));
    EXPECT_FALSE(equal_folded("a\xff", "A\xfe"));
    EXPECT_FALSE(equal_folded("\xc3", "\u00e3"));
    EXPECT_FALSE(equal_folded("\xed\xa0\x80", "\xed\xa0\x81"));
}

}  // namespace
}  // namespace callgate
