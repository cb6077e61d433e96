#include "http/request_line_finder.h"

#include <gtest/gtest.h>

#include <string>

namespace callgate {
namespace {

// How many bytes may go on; the same in pieces of any size.
size_t found(std::string_view bytes, RequestLineFinder::Until until = RequestLineFinder::Until::version) {
    const size_t whole = RequestLineFinder(until).scan(bytes);
    for (const size_t piece : {1, 2, 3, 7}) {
        RequestLineFinder finder(until);
        size_t end = std::string_view::npos;
        for (size_t at = 0; at < bytes.size() && end == std::string_view::npos; at += piece) {
            end = finder.scan(bytes.substr(at, piece));
            if (end != std::string_view::npos) end += at;
        }
        EXPECT_EQ(end, whole) << "pieces of " << piece << ": " << bytes;
    }
    return whole;
}
constexpr size_t kNone = std::string_view::npos;

TEST(RequestLineFinder, LinesThatBeginLikeRequests) {
    EXPECT_EQ(found("POST /mcp HTTP/1.1\r\n"), 14u);
    EXPECT_EQ(found("5\r\nhello\r\nPOST /mcp HTTP/1.1\r\n"), 24u);
    EXPECT_EQ(found("\n\nPUT x http/0.9"), 12u);
    EXPECT_EQ(found("a\rGET / HTTP/2"), 12u);
    EXPECT_EQ(found(" \t POST\x1c\x85/mcp\v\fHttp/01.1"), 19u);
    EXPECT_EQ(found(std::string(32, 'M') + " / HTTP/"), 39u);
}

TEST(RequestLineFinder, OtherLines) {
    EXPECT_EQ(found(""), kNone);
    EXPECT_EQ(found("POST /mcp HTTP"), kNone);
    EXPECT_EQ(found("POST /mcp\r\nHTTP/1.1"), kNone);
    EXPECT_EQ(found("127.0.0.1 - - [1/Jan/2026] \"POST /mcp HTTP/1.1\" 200\n"), kNone);
    EXPECT_EQ(found("The word is HTTP/1.1\n"), kNone);
    EXPECT_EQ(found("HTTP/1.1 200 OK\r\n"), kNone);
    EXPECT_EQ(found("{\"a\":\"\\nPOST /mcp HTTP/1.1\"}"), kNone);
    EXPECT_EQ(found("POST / a HTTP/1.1\n"), kNone);
    EXPECT_EQ(found("POST / HTTPS/1.1\n"), kNone);
    EXPECT_EQ(found("POST  HTTP/1.1\n"), kNone);
    EXPECT_EQ(found(std::string(33, 'M') + " / HTTP/1.1"), kNone);
    EXPECT_EQ(found("x POST / HTTP/1.1\n"), kNone);
}

TEST(RequestLineFinder, LinesWithoutAVersion) {
    constexpr auto kTarget = RequestLineFinder::Until::target;
    EXPECT_EQ(found("hello\r\nPOST /mcp\r\n", kTarget), 12u);
    EXPECT_EQ(found("POST\x85/mcp HTTP/1.1", kTarget), 5u);
    EXPECT_EQ(found("POST mcp/ HTTP/1.1", kTarget), 14u);
    EXPECT_EQ(found("POST mcp/\n / /a\nx /b\nPOST\n/c\n\"POST /d", kTarget), kNone);
}

}  // namespace
}  // namespace callgate
