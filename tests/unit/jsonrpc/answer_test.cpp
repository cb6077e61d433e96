#include "jsonrpc/answer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

namespace callgate {
namespace {

Denial denial() {
    Denial d;
    d.reason = "no \"writes\"";
    d.rule = "/rules/3";
    d.tool = "write_file";
    return d;
}

TEST(Answer, DeniedResult) {
    std::string out;
    append_denied_result(out, "\"a\\u0062\"", denial(), false);
    EXPECT_EQ(out,
              R"({"jsonrpc":"2.0","id":"a\u0062","result":{"content":[{"type":"text","text":"[POLICY DENIED] no \"writes\""}],)"
              R"("isError":true,"_meta":{"io.callgate/decision":{"code":-31403,"rule":"/rules/3","tool":"write_file"}}}})"
              "\n");
}

TEST(Answer, WhatAHumanMayApproveSaysHow) {
    Denial d = denial();
    d.code = kCodeApproval;
    d.approval = "k3f9x0wq2m";
    d.approval_expires = "2026-11-28T22:30:00Z";
    std::string out;
    append_denied_error(out, "7", d);
    EXPECT_EQ(out,
              R"({"jsonrpc":"2.0","id":7,"error":{"code":-32003,"message":"[APPROVAL NEEDED] no \"writes\"",)"
              R"("data":{"rule":"/rules/3","tool":"write_file","approval_id":"k3f9x0wq2m","expires_at":"2026-11-28T22:30:00Z",)"
              R"("approve":"callgate approvals approve k3f9x0wq2m"}}})"
              "\n");
    // Denied by a human, there is nothing to approve.
    d.code = kCodeDenied;
    out.clear();
    append_denied_error(out, "7", d);
    EXPECT_NE(out.find("[POLICY DENIED] "), out.npos);
    EXPECT_NE(out.find("\"approval_id\""), out.npos);
    EXPECT_EQ(out.find("\"approve\""), out.npos);
    // Where nobody can be asked.
    d.code = kCodeApproval;
    d.approval = {};
    out.clear();
    append_denied_error(out, "7", d);
    EXPECT_NE(out.find("[POLICY DENIED] "), out.npos);
    EXPECT_EQ(out.find("approval_id"), out.npos);
}

TEST(Answer, DeniedResultOfTheModernRevision) {
    std::string out = "before";
    Denial d = denial();
    d.tool = {};
    append_denied_result(out, "0", d, true);
    EXPECT_EQ(out,
              R"(before{"jsonrpc":"2.0","id":0,"result":{"content":[{"type":"text","text":"[POLICY DENIED] no \"writes\""}],)"
              R"("isError":true,"resultType":"complete","_meta":{"io.callgate/decision":{"code":-31403,"rule":"/rules/3"}}}})"
              "\n");
}

TEST(Answer, DeniedPlaceholder) {
    std::string out;
    append_denied_placeholder(out, "\"x\"");
    EXPECT_EQ(out, R"({"jsonrpc":"2.0","id":"x","method":"callgate/denied"})");
    out.clear();
    append_denied_placeholder(out, "");
    EXPECT_EQ(out, R"({"jsonrpc":"2.0","method":"notifications/callgate/denied"})");
}

TEST(Answer, RetryIsSaidInWholeSecondsRoundedUp) {
    Denial d = denial();
    d.code = kCodeOverLimit;
    d.reason = "Too many calls.";
    for (const auto& [wait_ms, text] : {std::pair<int64_t, const char*>{0, "0"}, {1, "1"}, {1000, "1"}, {59001, "60"}}) {
        d.retry_after_ms = wait_ms;
        std::string out;
        append_denied_error(out, "1", d);
        EXPECT_EQ(out,
                  R"({"jsonrpc":"2.0","id":1,"error":{"code":-31429,"message":"[POLICY DENIED] Too many calls. Retry after )" +
                      std::string(text) + R"( s.","data":{"rule":"/rules/3","tool":"write_file","retryAfterMs":)" +
                      std::to_string(wait_ms) + "}}}\n");
    }
}

TEST(Answer, Refusal) {
    std::string out;
    append_refusal(out, "1", Refusal::duplicate_key, 17);
    append_refusal(out, "", Refusal::not_json, 0);
    EXPECT_EQ(out,
              R"({"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid Request: an object has the same key )"
              R"(twice, and parsers differ in which of the two they take. Refused by callgate before it reached the server.",)"
              R"("data":{"refused":"duplicate_key","offset":17}}})"
              "\n"
              R"({"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error: this is not JSON (RFC 8259). )"
              R"(Refused by callgate before it reached the server.",)"
              R"("data":{"refused":"not_json","offset":0}}})"
              "\n");
}

// Every reason has an explanation of its own, and none is the audit's token.
TEST(Answer, RefusalsAreExplained) {
    std::set<std::string_view> explanations;
    for (int value = 0; value <= static_cast<int>(Refusal::incomplete); ++value) {
        const auto refusal = static_cast<Refusal>(value);
        EXPECT_NE(name(refusal), "unknown");
        EXPECT_TRUE(explanations.insert(explanation(refusal)).second) << name(refusal);
        EXPECT_EQ(explanation(refusal).find('_'), std::string_view::npos) << name(refusal);
        std::string out;
        append_refusal(out, "1", refusal, 0);
        EXPECT_TRUE(nlohmann::json::accept(out)) << out;
    }
}

TEST(Answer, JsonStringEscapesWhatCouldEndALineAnywhere) {
    std::string out;
    append_json_string(out, std::string_view("a\"\\/\b\n\r\t\0\x7f\u2028\u2029\u00e9\U0001f600\xff\xed\xa0\x80z", 27));
    EXPECT_EQ(out,
              "\"a\\\"\\\\/"
              "\\u0008\\n\\r\\t\\u0000\\u007f\\u2028\\u2029\u00e9\U0001f600\ufffd\ufffd\ufffd\ufffdz\"");
}

}  // namespace
}  // namespace callgate
