#include "http/head_framer.h"

#include <gtest/gtest.h>

#include <string>

namespace callgate {
namespace {

using Found = HeadFramer::Found;

TEST(HeadFramer, GivesTheHeadBetweenBlankLinesAndBody) {
    HeadFramer framer(HeadFramer::Side::request);
    EXPECT_TRUE(framer.is_empty());
    const std::string bytes = "\r\nGET / HTTP/1.1\r\n\r\nX";
    EXPECT_EQ(framer.scan(bytes), Found::complete);
    EXPECT_EQ(bytes.substr(framer.begin(), framer.end() - framer.begin()), "GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(framer.scan(bytes), Found::complete);  // the same until reset
    framer.reset();
    EXPECT_TRUE(framer.is_empty());
    EXPECT_EQ(framer.scan("GE"), Found::more);
    EXPECT_FALSE(framer.is_empty());
}

TEST(HeadFramer, IsEmptyOnlyBetweenMessages) {
    HeadFramer framer(HeadFramer::Side::request);
    EXPECT_EQ(framer.scan("\r"), Found::more);
    EXPECT_FALSE(framer.is_empty());
    EXPECT_EQ(framer.scan("\r\n"), Found::more);
    EXPECT_TRUE(framer.is_empty());
}

// A decision comes with the byte that makes it, not with the end of the head.
TEST(HeadFramer, RefusesAtOnce) {
    const auto scan = [](std::string_view bytes) {
        HeadFramer framer(HeadFramer::Side::request);
        EXPECT_EQ(framer.scan(bytes.substr(0, bytes.size() - 1)), Found::more) << bytes;
        return framer.scan(bytes);
    };
    EXPECT_EQ(scan(std::string_view("GET / HTTP/1.1\n", 15)), Found::refused);
    EXPECT_EQ(scan("GET / HTTP/1.1\r\n "), Found::refused);
    EXPECT_EQ(scan("SSH-2.0-x\r"), Found::refused);
    EXPECT_EQ(scan("\x16\x03"), Found::tls);
    EXPECT_EQ(scan(std::string_view("\x16\x00", 2)), Found::not_http);
    EXPECT_EQ(scan("PRI * HTTP/2.0\r\n"), Found::http2);
    EXPECT_EQ(scan("{"), Found::not_http);
}

TEST(HeadFramer, AResponseBeginsWithItsVersion) {
    HeadFramer framer(HeadFramer::Side::response);
    EXPECT_EQ(framer.scan("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{"), Found::complete);
    EXPECT_EQ(framer.end(), 25U);
    for (const std::string_view bytes : {"\r\nHTTP/1.1 200 OK\r\n\r\n", "x", "{", "\n", " HTTP/1.1", "\x16\x03"}) {
        HeadFramer other(HeadFramer::Side::response);
        EXPECT_EQ(other.scan(bytes), Found::refused) << bytes;
        EXPECT_EQ(other.problem(), (HttpProblem{HttpRefusal::bad_status_line, 0})) << bytes;
    }
}

TEST(HeadFramer, ResponseLinesAreStrictToo) {
    HeadFramer framer(HeadFramer::Side::response);
    EXPECT_EQ(framer.scan("HTTP/1.1 200 OK\nA: b\n\n"), Found::refused);
    EXPECT_EQ(framer.problem(), (HttpProblem{HttpRefusal::bare_line_feed, 15}));
}

}  // namespace
}  // namespace callgate
