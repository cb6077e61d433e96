// Properties: permuted keys and other spellings share a fingerprint, every changed value has another one.
#include "approval/fingerprint.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "policy/caller.h"

namespace callgate {
namespace {

using nlohmann::json;

std::array<char, 32> print_of(std::string_view arguments, std::string_view tool = "t", std::string_view method = "m") {
    Caller caller{"g", "s", "p"};
    ApprovalQuestion question;
    question.method = method;
    question.tool = tool;
    question.arguments = arguments;
    question.caller = &caller;
    const auto made = fingerprint_of(question);
    EXPECT_TRUE(made) << arguments;
    return made.value_or(std::array<char, 32>{});
}

TEST(Fingerprint, PartsDoNotRunIntoEachOther) {
    EXPECT_NE(print_of("{}", "ab", "c"), print_of("{}", "a", "bc"));
    EXPECT_NE(print_of("{}", "", "abc"), print_of("{}", "abc", ""));
}

TEST(Fingerprint, UnreadableArgumentsHaveNone) {
    Caller caller{"g", "s", "p"};
    ApprovalQuestion question;
    question.arguments = "{";
    question.caller = &caller;
    EXPECT_FALSE(fingerprint_of(question));
}

TEST(Fingerprint, PermutedKeysAreTheSameAndAChangedValueIsNot) {
    std::mt19937 random(5);
    std::set<std::array<char, 32>> seen;
    for (int round = 0; round < 2000; ++round) {
        std::vector<std::string> members;
        const size_t number = 1 + random() % 6;
        for (size_t i = 0; i < number; ++i)
            members.push_back(json("k" + std::to_string(i)).dump() + ":" + (random() % 2 ? std::to_string(static_cast<int64_t>(random()) - 5) : json(std::to_string(random())).dump()));
        const auto text = [&] {
            std::string out = "{";
            for (const std::string& member : members) out += (out.size() > 1 ? ", " : "") + member;
            return out + "}";
        };
        const auto first = print_of(text());
        EXPECT_TRUE(seen.insert(first).second) << text();
        std::shuffle(members.begin(), members.end(), random);
        EXPECT_EQ(print_of(text()), first);
        std::string& changed = members[random() % members.size()];
        changed.insert(changed.ends_with('"') ? changed.size() - 1 : changed.size(), "7");
        EXPECT_NE(print_of(text()), first);
    }
}

}  // namespace
}  // namespace callgate
