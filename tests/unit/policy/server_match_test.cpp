#include <gtest/gtest.h>

#include <algorithm>

#include "policy/policy.h"

namespace callgate {
namespace {

// `members`: any of "e" exe_sha256, "p" package, "l" listen, "t" path, "c" command, "u" user.
ServerMatch match_of(std::string_view members) {
    ServerMatch match;
    for (char member : members) {
        if (member == 'e') match.exe_sha256 = std::string(64, 'a');
        if (member == 'p') match.package = "p";
        if (member == 'c') match.command = "*";
        if (member == 'u') match.user = "root";
        if (member == 'l') match.listen = ":80";
        if (member == 't') match.path = "/mcp";
    }
    return match;
}

TEST(ServerMatch, MoreMembersAreMoreSpecificAndKindsBreakTies) {
    const char* ascending[] = {"",   "u",  "c",   "t",   "l",   "p",   "e",    "cu",   "tc",    "lt",     "pu",
                               "pc", "pl", "eu",  "el",  "ep",  "pcu", "plt",  "ecu",  "elt",   "epu",
                               "epc", "epl", "epcu", "eplu", "eplt", "epltc", "epltcu"};
    for (size_t i = 1; i < std::size(ascending); ++i) {
        EXPECT_LT(match_of(ascending[i - 1]).specificity(), match_of(ascending[i]).specificity())
            << ascending[i];
    }
    EXPECT_EQ(match_of("pu").specificity(), match_of("up").specificity());
}

TEST(ServerMatch, EmptyAndCertain) {
    EXPECT_TRUE(match_of("").empty());
    for (const char* one : {"e", "p", "c", "u", "l", "t"}) EXPECT_FALSE(match_of(one).empty());
    EXPECT_TRUE(match_of("e").is_certain());
    EXPECT_TRUE(match_of("pc").is_certain());
    EXPECT_FALSE(match_of("cu").is_certain());
    EXPECT_FALSE(match_of("").is_certain());
}

}  // namespace
}  // namespace callgate
