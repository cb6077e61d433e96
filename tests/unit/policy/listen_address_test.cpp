#include "policy/listen_address.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

bool covers(std::string_view named, std::string_view listener) {
    const auto a = ListenAddress::parse(named), b = ListenAddress::parse(listener);
    EXPECT_TRUE(a && b) << named << " " << listener;
    return a && b && a->covers(*b);
}

TEST(ListenAddress, NumericAddressesAndPortsOnly) {
    for (const char* good : {"127.0.0.1:3000", "0.0.0.0:1", "[::1]:3000", "[::]:65535", ":80", "[::ffff:10.0.0.1]:8"})
        EXPECT_TRUE(ListenAddress::parse(good)) << good;
    for (const char* bad : {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:+1", "127.1:80",
                            "localhost:80", "::1:80", "[::1", "[]:80", "[127.0.0.1]:80", " 127.0.0.1:80", "127.0.0.1:80 "})
        EXPECT_FALSE(ListenAddress::parse(bad)) << bad;
}

TEST(ListenAddress, CoversWhatServesIt) {
    EXPECT_TRUE(covers("127.0.0.1:3000", "127.0.0.1:3000"));
    EXPECT_FALSE(covers("127.0.0.1:3000", "127.0.0.1:3001"));
    EXPECT_FALSE(covers("127.0.0.1:3000", "127.0.0.2:3000"));
    EXPECT_TRUE(covers(":3000", "127.0.0.1:3000"));
    EXPECT_TRUE(covers(":3000", "[fe80::1]:3000"));
    EXPECT_TRUE(covers("127.0.0.1:3000", "0.0.0.0:3000"));
    EXPECT_TRUE(covers("127.0.0.1:3000", "[::]:3000"));
    EXPECT_TRUE(covers("[::1]:3000", "[::]:3000"));
    EXPECT_FALSE(covers("[::1]:3000", "0.0.0.0:3000"));
    EXPECT_FALSE(covers("0.0.0.0:3000", "127.0.0.1:3000"));
    EXPECT_TRUE(covers("[0:0:0:0:0:0:0:1]:3000", "[::1]:3000"));
    EXPECT_TRUE(covers("127.0.0.1:3000", "[::ffff:127.0.0.1]:3000"));
}

}  // namespace
}  // namespace callgate
