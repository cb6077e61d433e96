#include "draft/risk_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace callgate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(RiskWords, NamesAreCutIntoWords) {
    EXPECT_THAT(words_of("data_delete"), ElementsAre("data", "delete"));
    EXPECT_THAT(words_of("getUserById"), ElementsAre("get", "user", "by", "id"));
    EXPECT_THAT(words_of("one-shot.recovery/now"), ElementsAre("one", "shot", "recovery", "now"));
    EXPECT_THAT(words_of("getHTTPResponse2"), ElementsAre("get", "http", "response2"));
    EXPECT_THAT(words_of("DELETE_ALL"), ElementsAre("delete", "all"));
    EXPECT_THAT(words_of("v2Delete"), ElementsAre("v2", "delete"));
    EXPECT_THAT(words_of("notion:API-post-page"), ElementsAre("notion", "api", "post", "page"));
    EXPECT_THAT(words_of("__"), IsEmpty());
    EXPECT_THAT(words_of(""), IsEmpty());
}

TEST(RiskWords, TheLongestEntryCounts) {
    const std::vector<std::string> words = words_of("drop_table_x");
    const FoundWord table = find_name_word(words, 0);
    ASSERT_NE(table.word, nullptr);
    EXPECT_EQ(table.word->text, "drop table");
    EXPECT_EQ(table.length, 2u);
    EXPECT_EQ(find_name_word(words, 1).word, nullptr);
    const std::vector<std::string> one = {"drop"};
    ASSERT_NE(find_name_word(one, 0).word, nullptr);
    EXPECT_EQ(find_name_word(one, 0).length, 1u);
}

TEST(RiskWords, FormsOfVerbs) {
    bool third = false;
    ASSERT_NE(find_verb_form("deletes", third), nullptr);
    EXPECT_TRUE(third);
    for (const char* form : {"searches", "copies", "lists"}) EXPECT_NE(find_verb_form(form, third), nullptr) << form;
    ASSERT_NE(find_verb_form("deleting", third), nullptr);
    EXPECT_FALSE(third);
    EXPECT_NE(find_verb_form("reading", third), nullptr);
    EXPECT_EQ(find_verb_form("house", third), nullptr);
}

}  // namespace
}  // namespace callgate
