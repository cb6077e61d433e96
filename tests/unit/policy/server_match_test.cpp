#include "policy/server_match.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "policy/policy.h"

namespace callgate {
namespace {

// `members`: any of "e" exe_sha256, "p" package, "l" listen, "t" path, "c" command, "u" user, "i" image, "n" unit.
ServerMatch match_of(std::string_view members) {
    ServerMatch match;
    for (char member : members) {
        if (member == 'e') match.exe_sha256 = std::string(64, 'a');
        if (member == 'p') match.package = "p";
        if (member == 'c') match.command = "*";
        if (member == 'u') match.user = "root";
        if (member == 'l') match.listen = ":80";
        if (member == 't') match.path = "/mcp";
        if (member == 'i') match.image = "x";
        if (member == 'n') match.unit = "x.service";
    }
    return match;
}

TEST(ServerMatch, MoreMembersAreMoreSpecificAndKindsBreakTies) {
    const char* ascending[] = {"",    "u",   "c",   "t",   "l",   "n",    "i",    "p",    "e",     "cu",    "tc",
                               "lt",  "pu",  "pc",  "pl",  "pn",  "pi",   "eu",   "el",   "ep",    "pcu",   "plt",
                               "ecu", "elt", "epu", "epc", "epl", "epcu", "eplu", "eplt", "epltc", "epltcu"};
    for (size_t i = 1; i < std::size(ascending); ++i) {
        EXPECT_LT(match_of(ascending[i - 1]).specificity(), match_of(ascending[i]).specificity()) << ascending[i];
    }
    EXPECT_EQ(match_of("pu").specificity(), match_of("up").specificity());
}

TEST(ServerMatch, EmptyAndCertain) {
    EXPECT_TRUE(match_of("").empty());
    for (const char* one : {"e", "p", "c", "u", "l", "t", "i", "n"}) EXPECT_FALSE(match_of(one).empty());
    EXPECT_TRUE(match_of("e").is_certain());
    EXPECT_TRUE(match_of("pc").is_certain());
    EXPECT_FALSE(match_of("cu").is_certain());
    EXPECT_FALSE(match_of("in").is_certain());  // a container and a unit have other programs too
    EXPECT_FALSE(match_of("").is_certain());
}

TEST(ServerMatch, Images) {
    const char* full = "registry.example/acme/mcp:1.4";
    for (const char* wanted :
         {"registry.example/acme/mcp", "registry.example/acme/mcp:1.4", "glob:*/mcp:*", "glob:registry.example/acme/*"}) {
        EXPECT_TRUE(image_matches(wanted, full)) << wanted;
    }
    for (const char* wanted : {"registry.example/acme/mcp:1.5", "registry.example/acme/mc", "other.example/acme/mcp", "mcp",
                               "glob:mcp*", "registry.example/acme/mcp:1.4@sha256:00"}) {
        EXPECT_FALSE(image_matches(wanted, full)) << wanted;
    }
    EXPECT_TRUE(image_matches("acme/mcp", full));
    EXPECT_TRUE(image_matches("nginx", "registry.example/library/nginx:latest"));
    EXPECT_TRUE(image_matches("nginx:latest", "registry.example/library/nginx:latest"));
    EXPECT_TRUE(image_matches("registry.example/nginx:1", "nginx:1"));
    EXPECT_TRUE(image_matches("localhost:5000/x", "localhost:5000/x:2"));
    EXPECT_TRUE(image_matches("r/x", "registry.example/r/x@sha256:00"));
    EXPECT_FALSE(image_matches("glob:*", ""));
    EXPECT_FALSE(image_matches("x", ""));
}

}  // namespace
}  // namespace callgate
