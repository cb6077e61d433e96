#include "http/response_head.h"

#include <gtest/gtest.h>

#include <string>

namespace callgate {
namespace {

using Kind = BodyFraming::Kind;

struct Parsed {
    explicit Parsed(std::string bytes, std::string_view method = "POST")
        : text(std::move(bytes)), problem(head.parse(text, method)) {}
    std::string text;
    ResponseHead head;
    HttpProblem problem;
};

BodyFraming framing(const std::string& status, const std::string& fields, std::string_view method = "POST") {
    const Parsed parsed("HTTP/1.1 " + status + "\r\n" + fields + "\r\n", method);
    EXPECT_TRUE(parsed.problem.ok()) << parsed.text;
    return parsed.head.framing;
}

TEST(ResponseHead, ReadsTheExampleOfItsHeader) {
    const Parsed parsed("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    ASSERT_TRUE(parsed.problem.ok());
    EXPECT_EQ(parsed.head.status, 200);
    EXPECT_EQ(parsed.head.reason, "OK");
    EXPECT_EQ(parsed.head.framing, (BodyFraming{Kind::chunked, 0}));
    EXPECT_TRUE(parsed.head.keep_alive);
    EXPECT_FALSE(parsed.head.is_interim());
}

TEST(ResponseHead, StatusAndMethodDecideOnTheBodyFirst) {
    const std::string length = "Content-Length: 5\r\n", chunked = "Transfer-Encoding: chunked\r\n";
    EXPECT_EQ(framing("200 OK", length), (BodyFraming{Kind::length, 5}));
    EXPECT_EQ(framing("200 OK", chunked), (BodyFraming{Kind::chunked, 0}));
    EXPECT_EQ(framing("200 OK", ""), (BodyFraming{Kind::until_close, 0}));
    EXPECT_EQ(framing("200 OK", length, "HEAD"), BodyFraming{});
    EXPECT_EQ(framing("200 OK", chunked, "HEAD"), BodyFraming{});
    EXPECT_EQ(framing("204 No Content", chunked), BodyFraming{});
    EXPECT_EQ(framing("304 Not Modified", length), BodyFraming{});
    EXPECT_EQ(framing("100 Continue", ""), BodyFraming{});
    EXPECT_EQ(framing("103 Early Hints", ""), BodyFraming{});
    EXPECT_EQ(framing("101 Switching Protocols", ""), (BodyFraming{Kind::tunnel, 0}));
    EXPECT_EQ(framing("200 OK", "", "CONNECT"), (BodyFraming{Kind::tunnel, 0}));
    EXPECT_EQ(framing("403 Forbidden", length, "CONNECT"), (BodyFraming{Kind::length, 5}));
    EXPECT_EQ(framing("200 OK", length, "connect"), (BodyFraming{Kind::length, 5}));
}

TEST(ResponseHead, Interim) {
    EXPECT_TRUE(Parsed("HTTP/1.1 100 Continue\r\n\r\n").head.is_interim());
    EXPECT_TRUE(Parsed("HTTP/1.1 103 x\r\n\r\n").head.is_interim());
    EXPECT_FALSE(Parsed("HTTP/1.1 101 x\r\n\r\n").head.is_interim());
    EXPECT_FALSE(Parsed("HTTP/1.1 200 x\r\n\r\n").head.is_interim());
}

TEST(ResponseHead, KeepAlive) {
    const std::string length = "Content-Length: 0\r\n";
    EXPECT_TRUE(Parsed("HTTP/1.1 200 OK\r\n" + length + "\r\n").head.keep_alive);
    EXPECT_FALSE(Parsed("HTTP/1.1 200 OK\r\nConnection: close\r\n" + length + "\r\n").head.keep_alive);
    EXPECT_FALSE(Parsed("HTTP/1.1 200 OK\r\n\r\n").head.keep_alive);  // until close
    EXPECT_FALSE(Parsed("HTTP/1.0 200 OK\r\n" + length + "\r\n").head.keep_alive);
    EXPECT_TRUE(Parsed("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + length + "\r\n").head.keep_alive);
}

TEST(ResponseHead, StatusLines) {
    for (const char* good : {"HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200", "HTTP/1.0 999 \t\xe9", "HTTP/1.1 100 a b"})
        EXPECT_TRUE(Parsed(std::string(good) + "\r\n\r\n").problem.ok()) << good;
    const std::pair<std::string, HttpRefusal> cases[] = {
        {"HTTP/1.1", HttpRefusal::bad_status_line},
        {"HTTP/1.1 20", HttpRefusal::bad_status_line},
        {"HTTP/1.1 2x0 OK", HttpRefusal::bad_status_line},
        {"HTTP/1.1 099 OK", HttpRefusal::bad_status_line},
        {"HTTP/1.1 2000", HttpRefusal::bad_status_line},
        {"HTTP/1.1  200 OK", HttpRefusal::bad_status_line},
        {"HTTP/1.1\t200 OK", HttpRefusal::bad_status_line},
        {"HTTP/1.1 200\tOK", HttpRefusal::bad_status_line},
        {"HTTP/1.1 200 O\x01K", HttpRefusal::bad_status_line},
        {"http/1.1 200 OK", HttpRefusal::bad_version},
        {"HTTP/2.0 200 OK", HttpRefusal::unsupported_version},
    };
    for (const auto& [line, refusal] : cases) EXPECT_EQ(Parsed(line + "\r\n\r\n").problem, (HttpProblem{refusal, 0})) << line;
}

TEST(ResponseHead, FieldsAndFramingAreAsStrictAsARequests) {
    using R = HttpRefusal;
    const std::pair<std::string, HttpProblem> cases[] = {
        {"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", {R::length_and_coding, 36}},
        {"Content-Length: 1\r\nContent-Length: 1\r\n", {R::repeated_length, 36}},
        {"Content-Length: 1,1\r\n", {R::repeated_length, 33}},
        {"Content-Length: x\r\n", {R::bad_length, 33}},
        {"Transfer-Encoding: gzip, chunked\r\n", {R::unknown_coding, 36}},
        {"A: b\r\n c\r\n", {R::folded_line, 23}},
        {"A : b\r\n", {R::space_before_colon, 18}},
        {"A\r\n", {R::no_colon, 17}},
        {"A: \x01\r\n", {R::control_in_value, 20}},
        {"Connection: Content-Length\r\n", {R::bad_connection, 29}},
    };
    for (const auto& [fields, problem] : cases)
        EXPECT_EQ(Parsed("HTTP/1.1 200 OK\r\n" + fields + "\r\n").problem, problem) << fields;
    EXPECT_EQ(Parsed("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").problem, (HttpProblem{R::coding_in_http_1_0, 17}));
    // No CGI reads a response.
    EXPECT_TRUE(Parsed("HTTP/1.1 200 OK\r\ncontent_type: x\r\n\r\n").problem.ok());
    EXPECT_EQ(Parsed("HTTP/1.1 200 OK\r\n").problem, (HttpProblem{R::incomplete, 17}));
    EXPECT_EQ(Parsed("HTTP/1.1 200 " + std::string(65536, 'x')).problem, (HttpProblem{R::head_too_long, 65536}));
}

}  // namespace
}  // namespace callgate
