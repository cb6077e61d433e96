// What corpus_test.cpp does not look at: the derived members, and offsets without a framer before.
#include "http/request_head.h"

#include <gtest/gtest.h>

#include <string>

namespace callgate {
namespace {

struct Parsed {
    explicit Parsed(std::string bytes) : text(std::move(bytes)), problem(head.parse(text)) {}
    std::string text;
    RequestHead head;
    HttpProblem problem;
};

Parsed get(const std::string& target, const std::string& fields = "", const std::string& version = "1.1") {
    return Parsed("GET " + target + " HTTP/" + version + "\r\nHost: a\r\n" + fields + "\r\n");
}

TEST(RequestHead, ReadsTheExampleOfItsHeader) {
    const Parsed parsed("POST /mcp?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n");
    ASSERT_TRUE(parsed.problem.ok());
    EXPECT_TRUE(parsed.head.is("POST"));
    EXPECT_FALSE(parsed.head.is("post"));
    EXPECT_EQ(parsed.head.target, "/mcp?x=1");
    EXPECT_EQ(parsed.head.path, "/mcp");
    EXPECT_EQ(parsed.head.query, "x=1");
    EXPECT_EQ(parsed.head.minor_version, 1);
    EXPECT_EQ(parsed.head.host, "a");
    EXPECT_EQ(parsed.head.framing, (BodyFraming{BodyFraming::Kind::length, 2}));
    EXPECT_TRUE(parsed.head.keep_alive);
    EXPECT_TRUE(parsed.head.fields.find(KnownField::content_type).is("application/json"));
}

TEST(RequestHead, TargetForms) {
    using Form = RequestHead::TargetForm;
    const auto check = [](const Parsed& parsed, Form form, std::string_view path, std::string_view query) {
        ASSERT_TRUE(parsed.problem.ok()) << parsed.text;
        EXPECT_EQ(parsed.head.form, form) << parsed.text;
        EXPECT_EQ(parsed.head.path, path) << parsed.text;
        EXPECT_EQ(parsed.head.query, query) << parsed.text;
    };
    check(get("/"), Form::origin, "/", "");
    check(get("/a?"), Form::origin, "/a", "");
    check(get("/a?b?c"), Form::origin, "/a", "b?c");
    check(get("http://a"), Form::absolute, "/", "");
    check(get("http://a?b/c"), Form::absolute, "/", "b/c");
    check(get("HTTP://A:80/x?y"), Form::absolute, "/x", "y");
    check(Parsed("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), Form::asterisk, "", "");
    check(Parsed("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"), Form::authority, "", "");
}

TEST(RequestHead, KeepAlive) {
    EXPECT_TRUE(get("/").head.keep_alive);
    EXPECT_TRUE(get("/", "Connection: keep-alive\r\n").head.keep_alive);
    EXPECT_FALSE(get("/", "Connection: Close\r\n").head.keep_alive);
    EXPECT_FALSE(get("/", "Connection: keep-alive\r\nConnection: x , close\r\n").head.keep_alive);
    EXPECT_FALSE(get("/", "", "1.0").head.keep_alive);
    EXPECT_TRUE(get("/", "Connection: Keep-Alive\r\n", "1.0").head.keep_alive);
    EXPECT_FALSE(get("/", "Connection: keep-alive, close\r\n", "1.0").head.keep_alive);
}

TEST(RequestHead, ExpectContinueOnlyFrom1_1) {
    EXPECT_FALSE(get("/").head.expect_continue);
    EXPECT_TRUE(get("/", "Expect: 100-continue\r\n").head.expect_continue);
    const Parsed old = get("/", "Expect: 100-continue\r\n", "1.0");
    EXPECT_TRUE(old.problem.ok());
    EXPECT_FALSE(old.head.expect_continue);
}

TEST(RequestHead, UpgradeNeedsConnection) {
    EXPECT_EQ(get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n").head.upgrade(), "websocket");
    EXPECT_EQ(get("/", "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c, x\r\n").head.upgrade(), "h2c");
    EXPECT_EQ(get("/", "Upgrade: websocket\r\n").head.upgrade(), "");
    EXPECT_EQ(get("/", "Connection: upgrade\r\n").head.upgrade(), "");
}

TEST(RequestHead, McpFields) {
    EXPECT_FALSE(get("/", "Mcp-Param-x: 1\r\n").head.has_mcp_field());
    for (const char* field : {"Mcp-Session-Id", "mcp-protocol-version", "MCP-METHOD", "Mcp-Name"})
        EXPECT_TRUE(get("/", std::string(field) + ": x\r\n").head.has_mcp_field()) << field;
}

TEST(RequestHead, MayBeUsedAgain) {
    RequestHead head;
    const std::string first = "POST /a?b HTTP/1.0\r\nConnection: keep-alive, upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\n";
    ASSERT_TRUE(head.parse(first).ok());
    const std::string second = "OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n";
    ASSERT_TRUE(head.parse(second).ok());
    EXPECT_EQ(head.framing, BodyFraming{});
    EXPECT_EQ(head.path, "");
    EXPECT_EQ(head.query, "");
    EXPECT_EQ(head.host, "b");
    EXPECT_EQ(head.upgrade(), "");
    EXPECT_EQ(head.fields.all().size(), 1U);
    EXPECT_TRUE(head.keep_alive);
}

// The parser relies on no framer.
TEST(RequestHead, ChecksLinesItself) {
    using R = HttpRefusal;
    const std::pair<std::string, HttpProblem> cases[] = {
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", {R::bare_line_feed, 14}},
        {"GET / HTTP/1.1\r\nHost: a\n\r\n", {R::bare_line_feed, 23}},
        {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", {R::bare_carriage_return, 23}},
        {"GET / HTTP/1.1\r\nHost: a\r", {R::bare_carriage_return, 23}},
        {std::string("GET / HTTP/1.1\r\nHost: \0\r\n\r\n", 26), {R::nul_byte, 22}},
        {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", {R::folded_line, 16}},
        {"GET / HTTP/1.1\r\nHost: a\r\n", {R::incomplete, 25}},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\nx", {R::incomplete, 27}},
        {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", {R::bad_method, 0}},
        {"GET\r\n\r\n", {R::bad_request_line, 0}},
        {std::string(33, 'M') + " / HTTP/1.1\r\n\r\n", {R::method_too_long, 0}},
        {"", {R::incomplete, 0}},
        {"GET /" + std::string(65536, 'x'), {R::head_too_long, 65536}},
    };
    for (const auto& [text, problem] : cases) {
        const HttpProblem found = Parsed(text).problem;
        EXPECT_EQ(found, problem) << text << " " << name(found.refusal) << " " << found.offset;
    }
}

}  // namespace
}  // namespace callgate
