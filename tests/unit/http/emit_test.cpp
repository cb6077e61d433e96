#include "http/emit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace callgate {
namespace {

std::string rewritten(const std::string& text, const RequestRewrite& rewrite) {
    RequestHead head;
    EXPECT_TRUE(head.parse(text).ok()) << text;
    std::string out = "before ";
    append_request_head(out, head, rewrite);
    EXPECT_EQ(out.substr(0, 7), "before ");
    out.erase(0, 7);
    RequestHead again;
    EXPECT_TRUE(again.parse(out).ok()) << out;
    return out;
}

TEST(RequestHead, IsWrittenCanonically) {
    EXPECT_EQ(rewritten("POST /mcp?a HTTP/1.1\r\n"
                        "Accept-Encoding: gzip, deflate\r\n"
                        "hoSt:a\r\n"
                        "Transfer-Encoding: chunked\r\n"
                        "TE: trailers\r\n"
                        "Connection: keep-alive, X-Hop, upgrade\r\n"
                        "X-Hop: 1\r\n"
                        "x-hops:\t2 \r\n"
                        "Upgrade: h2c\r\n"
                        "HTTP2-Settings: AAA\r\n"
                        "Keep-Alive: 5\r\n"
                        "Proxy-Connection: x\r\n"
                        "Trailer: X\r\n"
                        "Expect: 100-continue\r\n"
                        "Mcp-Session-Id: s\r\n"
                        "X: 1\r\n"
                        "X: 2\r\n\r\n",
                        {.content_length = 12}),
              "POST /mcp?a HTTP/1.1\r\n"
              "hoSt: a\r\n"
              "x-hops: 2\r\n"
              "Mcp-Session-Id: s\r\n"
              "X: 1\r\n"
              "X: 2\r\n"
              "Content-Length: 12\r\n"
              "accept-encoding: identity\r\n\r\n");
}

TEST(RequestHead, WithoutBodyHasNoLength) {
    EXPECT_EQ(rewritten("GET / HTTP/1.1\r\nHost: a\r\n\r\n", {}),
              "GET / HTTP/1.1\r\nHost: a\r\naccept-encoding: identity\r\n\r\n");
    EXPECT_EQ(rewritten("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", {.content_length = 0}),
              "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\naccept-encoding: identity\r\n\r\n");
}

// Not once for each of the other fields: whoever asks so would keep the loop from everybody else.
TEST(RequestHead, GoesOnceThroughWhatConnectionNames) {
    const auto microseconds = [](int fields) {
        std::string text = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close" + std::string(50'000, ',') + "x\r\nX: 1\r\n";
        for (int i = 0; i < fields; ++i) text.append("a:b\r\n");
        RequestHead head;
        EXPECT_TRUE(head.parse(text + "\r\n").ok());
        int64_t least = INT64_MAX;
        for (int i = 0; i < 5; ++i) {
            std::string out;
            const auto started = std::chrono::steady_clock::now();
            append_request_head(out, head, {});
            const auto took = std::chrono::steady_clock::now() - started;
            least = std::min<int64_t>(least, std::chrono::duration_cast<std::chrono::microseconds>(took).count());
            EXPECT_EQ(out.find("X:"), std::string::npos);
        }
        return least + 1;
    };
    const int64_t few = microseconds(2);
    EXPECT_LT(microseconds(200), 20 * few) << few;
}

TEST(RequestHead, KeepsWhatTheClientWantsOfTheConnection) {
    EXPECT_EQ(rewritten("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", {}),
              "GET / HTTP/1.1\r\nHost: a\r\naccept-encoding: identity\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(rewritten("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", {}),
              "GET / HTTP/1.0\r\naccept-encoding: identity\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(rewritten("GET / HTTP/1.0\r\n\r\n", {}), "GET / HTTP/1.0\r\naccept-encoding: identity\r\n\r\n");
}

TEST(RequestHead, AbsoluteFormBecomesOriginForm) {
    const auto line = [](const std::string& target) {
        const std::string out = rewritten("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n", {});
        return out.substr(0, out.find("\r\n"));
    };
    EXPECT_EQ(line("http://a"), "GET / HTTP/1.1");
    EXPECT_EQ(line("http://a?x/y"), "GET /?x/y HTTP/1.1");
    EXPECT_EQ(line("http://a/mcp?"), "GET /mcp? HTTP/1.1");
    EXPECT_EQ(line("http://a//mcp"), "GET //mcp HTTP/1.1");
    EXPECT_EQ(line("/http://a"), "GET /http://a HTTP/1.1");
}

TEST(RequestHead, DecodedBodyIsNoLongerDescribed) {
    const std::string head =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-MD5: x\r\nDigest: x\r\nContent-Digest: x\r\n"
        "Repr-Digest: x\r\nContent-Length: 9\r\n\r\n";
    EXPECT_EQ(rewritten(head, {.content_length = 20, .body_decoded = true}),
              "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\naccept-encoding: identity\r\n\r\n");
    EXPECT_NE(rewritten(head, {.content_length = 9}).find("Content-Encoding: gzip\r\nContent-MD5: x\r\nDigest: x"),
              std::string::npos);
}

std::string rewritten_response(const std::string& text, const ResponseRewrite& rewrite) {
    ResponseHead head;
    EXPECT_TRUE(head.parse(text, "POST").ok()) << text;
    std::string out;
    append_response_head(out, head, rewrite);
    return out;
}

TEST(ResponseHead, IsWrittenWithAnotherFraming) {
    const std::string head =
        "HTTP/1.1 201 Well\r\nETag: e\r\nContent-Length: 5\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\n"
        "Digest: d\r\nX: y\r\n\r\n";
    EXPECT_EQ(rewritten_response(head, {.framing = {BodyFraming::Kind::length, 4}, .body_changed = true}),
              "HTTP/1.1 201 Well\r\nX: y\r\nContent-Length: 4\r\n\r\n");
    EXPECT_EQ(rewritten_response(head, {.framing = {BodyFraming::Kind::chunked, 0}, .keep_alive = false}),
              "HTTP/1.1 201 Well\r\nETag: e\r\nDigest: d\r\nX: y\r\n"
              "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(rewritten_response(head, {.framing = {BodyFraming::Kind::until_close, 0}}),
              "HTTP/1.1 201 Well\r\nETag: e\r\nDigest: d\r\nX: y\r\nConnection: close\r\n\r\n");
}

TEST(ResponseHead, ChunkedNeeds1_1) {
    EXPECT_EQ(rewritten_response("HTTP/1.0 200 OK\r\n\r\n", {.framing = {BodyFraming::Kind::chunked, 0}}),
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    EXPECT_EQ(rewritten_response("HTTP/1.0 200 OK\r\n\r\n", {.framing = {BodyFraming::Kind::length, 0}}),
              "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

TEST(Answer, OfEveryShape) {
    std::string out;
    append_answer(out, {.content_type = "application/json", .session_id = "s"}, "{}");
    EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: s\r\nContent-Length: 2\r\n\r\n{}");
    out.clear();
    append_answer(out, {.status = 400, .keep_alive = false}, "");
    EXPECT_EQ(out, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    out.clear();
    append_answer(out, {.status = 202, .minor_version = 0}, "");
    EXPECT_EQ(out, "HTTP/1.0 202 Accepted\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
    out.clear();
    append_answer_head(out,
                       {.content_type = "text/event-stream", .framing = {BodyFraming::Kind::chunked, 0}, .event_stream = true});
    EXPECT_EQ(out,
              "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
              "Transfer-Encoding: chunked\r\n\r\n");
    out.clear();
    append_answer_head(out, {.framing = {BodyFraming::Kind::until_close, 0}, .minor_version = 0});
    EXPECT_EQ(out, "HTTP/1.0 200 OK\r\n\r\n");
}

// Whatever is written is read again as what was meant.
TEST(Answer, ParsesAsAResponse) {
    for (const int status : {200, 202, 400, 403, 404, 405, 408, 413, 414, 415, 417, 429, 431, 500, 501, 502, 503, 504, 505}) {
        std::string out;
        append_answer(out, {.status = status}, "body");
        ResponseHead head;
        ASSERT_TRUE(head.parse(out.substr(0, out.size() - 4), "POST").ok()) << out;
        EXPECT_EQ(head.status, status);
        EXPECT_FALSE(head.reason.empty()) << status;
        EXPECT_EQ(head.framing, (BodyFraming{BodyFraming::Kind::length, 4}));
        EXPECT_TRUE(head.keep_alive);
    }
    EXPECT_EQ(reason_phrase(299), "");
}

TEST(Continue, IsAnInterimResponse) {
    std::string out;
    append_continue(out);
    ResponseHead head;
    ASSERT_TRUE(head.parse(out, "POST").ok());
    EXPECT_TRUE(head.is_interim());
    EXPECT_EQ(out, "HTTP/1.1 100 Continue\r\n\r\n");
}

TEST(Chunk, HasItsSizeInHexadecimal) {
    std::string out;
    append_chunk(out, "hello");
    append_chunk(out, "");
    append_chunk(out, std::string(31, 'x'));
    append_last_chunk(out);
    EXPECT_EQ(out, "5\r\nhello\r\n1f\r\n" + std::string(31, 'x') + "\r\n0\r\n\r\n");
}

}  // namespace
}  // namespace callgate
