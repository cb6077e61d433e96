#include "jsonrpc/message.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "../../slowness.h"

namespace callgate {
namespace {

class MessageTest : public ::testing::Test {
  protected:
    const Message& parse(std::string_view line) {
        line_ = line;
        return parser_.parse(line_);
    }
    Refusal refusal(std::string_view line) { return parse(line).refusal; }

    MessageParser parser_;
    std::string line_;
};

TEST_F(MessageTest, ToolsCall) {
    const Message& m =
        parse(R"({"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"a":1,"b":{"c":2}}}})"
              "\n");
    EXPECT_EQ(m.kind, MessageKind::request);
    EXPECT_EQ(m.refusal, Refusal::none);
    EXPECT_TRUE(m.has_jsonrpc_2);
    EXPECT_EQ(m.id_token, "7");
    EXPECT_EQ(m.id_key, "i:7");
    EXPECT_EQ(m.method, "tools/call");
    EXPECT_EQ(m.params, R"({"name":"echo","arguments":{"a":1,"b":{"c":2}}})");
    EXPECT_EQ(m.name, "echo");
    EXPECT_EQ(m.arguments, R"({"a":1,"b":{"c":2}})");
    EXPECT_EQ(m.argument_keys, (std::vector<std::string_view>{"a", "b"}));
    EXPECT_EQ(m.argument_keys_total, 2u);
}

TEST_F(MessageTest, NamesAreDecoded) {
    const Message& m = parse(R"({"id":"a\u0062","method":"tools\/call","params":{"n\u0061me":"\u00e9\ud83d\ude00","uri":"f\tx",)"
                             R"("arguments":{"k\u00e9y":1}}})");
    EXPECT_EQ(m.kind, MessageKind::request);
    EXPECT_FALSE(m.has_jsonrpc_2);
    EXPECT_EQ(m.id_token, R"("a\u0062")");
    EXPECT_EQ(m.id_key, "s:ab");
    EXPECT_EQ(m.method, "tools/call");
    EXPECT_EQ(m.name, "\u00e9\U0001f600");
    EXPECT_EQ(m.uri, "f\tx");
    EXPECT_EQ(m.argument_keys, (std::vector<std::string_view>{"k\u00e9y"}));
}

TEST_F(MessageTest, ListsAtMostKAuditKeysMaxArgumentKeys) {
    std::string line = R"({"id":1,"method":"tools/call","params":{"arguments":{"k0":0)";
    for (int i = 1; i < 100; ++i) line += ",\"k" + std::to_string(i) + "\":0";
    const Message& m = parse(line + "}}}");
    EXPECT_EQ(m.refusal, Refusal::none);
    EXPECT_EQ(m.argument_keys_total, 100u);
    EXPECT_EQ(m.argument_keys.size(), kAuditKeysMax);
    EXPECT_EQ(m.argument_keys.back(), "k31");
}

TEST_F(MessageTest, InitializeAndMeta) {
    const Message& m =
        parse(R"({"method":"initialize","params":{"protocolVersion":"2025-11-25","clientInfo":{"name":"c","version":"1"}},)"
              R"("jsonrpc":"2.0","id":0})");
    EXPECT_EQ(m.protocol_version, "2025-11-25");
    EXPECT_TRUE(m.protocol_version_is_string);
    EXPECT_FALSE(m.has_meta_protocol_version);
    EXPECT_EQ(m.client_name, "c");
    EXPECT_EQ(m.client_version, "1");

    const Message& n =
        parse(R"({"jsonrpc":"2.0","id":0,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":)"
              R"("2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"d","version":"2"}}}})");
    EXPECT_EQ(n.protocol_version, "2026-07-28");
    EXPECT_TRUE(n.has_meta_protocol_version);
    EXPECT_TRUE(n.has_client_info);
    EXPECT_EQ(n.client_name, "d");
    EXPECT_EQ(n.client_version, "2");

    const Message& acp = parse(R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":1}})");
    EXPECT_FALSE(acp.protocol_version_is_string);
    EXPECT_EQ(acp.protocol_version, "1");
}

TEST_F(MessageTest, MembersCountOnlyInTheirPlace) {
    const Message& m =
        parse(R"({"id":1,"method":"x","params":{"arguments":{"name":5,"uri":6,"_meta":7},"other":{"arguments":8,"id":null},)"
              R"("list":[{"name":1}]},"name":3,"arguments":4})");
    EXPECT_EQ(m.refusal, Refusal::none);
    EXPECT_EQ(m.name, "");
    EXPECT_EQ(m.arguments, R"({"name":5,"uri":6,"_meta":7})");
}

TEST_F(MessageTest, Responses) {
    const Message& ok = parse(R"({"jsonrpc":"2.0","id":"x","result":{"isError":true,"content":[]}})");
    EXPECT_EQ(ok.kind, MessageKind::response);
    EXPECT_EQ(ok.id_key, "s:x");
    EXPECT_TRUE(ok.is_tool_error);
    EXPECT_FALSE(ok.is_error);
    EXPECT_EQ(ok.result, R"({"isError":true,"content":[]})");

    for (const char* line : {R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}})",
                             R"({"jsonrpc":"2.0","error":{"code":-32700,"message":"x"}})"}) {
        const Message& error = parse(line);
        EXPECT_EQ(error.kind, MessageKind::response) << line;
        EXPECT_TRUE(error.is_error);
        EXPECT_EQ(error.error_code, -32700);
        EXPECT_EQ(error.id_token, "");
    }
    EXPECT_EQ(refusal(R"({"jsonrpc":"2.0","result":{}})"), Refusal::invalid_id);
    EXPECT_EQ(refusal(R"({"jsonrpc":"2.0","id":null,"result":{}})"), Refusal::invalid_id);
    EXPECT_EQ(refusal(R"({"id":1,"result":{},"error":{"code":1}})"), Refusal::invalid_member);
    EXPECT_EQ(refusal(R"({"id":1,"error":"text"})"), Refusal::invalid_member);
}

TEST_F(MessageTest, WhateverHasAMethodIsARequest) {
    const Message& m = parse(R"({"jsonrpc":"2.0","id":1,"result":{"isError":true},"method":"tools/call"})");
    EXPECT_EQ(m.kind, MessageKind::request);
    EXPECT_EQ(m.result, "");
    EXPECT_FALSE(m.is_tool_error);
    EXPECT_EQ(parse(R"({"method":"x"})").kind, MessageKind::notification);
}

TEST_F(MessageTest, CancelledRequestId) {
    EXPECT_EQ(parse(R"({"method":"notifications/cancelled","params":{"requestId":5}})").cancelled_id_key, "i:5");
    EXPECT_EQ(parse(R"({"method":"notifications/cancelled","params":{"requestId":"a"}})").cancelled_id_key, "s:a");
    EXPECT_EQ(parse(R"({"method":"notifications/cancelled","params":{"requestId":1.0}})").cancelled_id_key, "");
    EXPECT_EQ(parse(R"({"method":"notifications/other","params":{"requestId":5}})").cancelled_id_key, "");
}

TEST_F(MessageTest, IdIsKeptWhereItIsUnambiguous) {
    EXPECT_EQ(parse(R"({"a":1,"a":2,"id":9,"method":"x"})").id_token, "9");
    EXPECT_EQ(parse(R"({"Method":"y","id":"q","method":"x"})").id_token, R"("q")");
    EXPECT_EQ(parse(R"({"id":9,"method":"x","ID":8})").id_token, "");
    EXPECT_EQ(parse(R"({"id":9,"method":"x","\u0069d":9})").id_token, "");
    EXPECT_EQ(parse(R"({"id":9,"method":"x","id\u0000":9})").id_token, "");
    EXPECT_EQ(parse(R"({"id":9,"method":"x")").id_token, "");
    EXPECT_EQ(parse(R"({"id":9,"method":"x"}{"id":8})").id_token, "");
    EXPECT_EQ(parse(R"({"id":1.0,"method":"x"})").id_token, "");
    EXPECT_EQ(parse(R"([{"id":1,"method":"x"}])").id_token, "");
}

TEST_F(MessageTest, DepthLimit) {
    const auto nested = [](int depth) {
        const int inner = depth - 3;  // envelope, params, arguments
        return R"({"method":"tools/call","params":{"arguments":{"a":)" + std::string(inner, '[') + std::string(inner, ']') +
               R"(}},"id":5})";
    };
    EXPECT_EQ(refusal(nested(kJsonDepthMax)), Refusal::none);
    EXPECT_EQ(refusal(nested(kJsonDepthMax + 1)), Refusal::too_deep);
    EXPECT_EQ(parser_.parse(line_).id_token, "5");
    EXPECT_EQ(refusal(nested(1000000)), Refusal::too_deep);
    EXPECT_EQ(parser_.parse(line_).id_token, "5");
}

TEST_F(MessageTest, DuplicateKeysAmongMany) {
    std::string keys = "\"k0\":0";
    for (int i = 1; i < 1000; ++i) keys += ",\"k" + std::to_string(i) + "\":0";
    EXPECT_EQ(refusal(R"({"id":1,"method":"x","params":{)" + keys + "}}"), Refusal::none);
    const Message& m = parse(R"({"id":1,"method":"x","params":{)" + keys + ",\"k\\u0037\":1,\"k500\":2}}");
    EXPECT_EQ(m.refusal, Refusal::duplicate_key);
    EXPECT_EQ(m.refusal_offset, line_.find("\"k\\u0037"));
    EXPECT_EQ(m.id_token, "1");
}

TEST_F(MessageTest, MemberLimit) {
    std::string keys = "\"0\":0";
    for (size_t i = 1; i < kJsonMembersMax; ++i) keys += ",\"" + std::to_string(i) + "\":0";
    EXPECT_EQ(refusal(R"({"method":"x","params":{)" + keys + "}}"), Refusal::none);
    EXPECT_EQ(refusal(R"({"method":"x","params":{)" + keys + ",\"\\u0061\":1,\"b\":2}}"), Refusal::too_many_members);
}

// Every key has the same length, head, middle and tail, so all hashes are equal: sorting by text must keep it
// cheap.
TEST_F(MessageTest, CollidingKeysCostNoQuadraticTime) {
    std::string line = R"({"method":"x","params":{"a":0)";
    for (int i = 0; i < 60000; ++i) {
        const std::string digits = std::to_string(100000 + i);
        line += ",\"AAAAAAAA" + digits + "BBBBBBBBBBBBBBBBBBBB\":0";
    }
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(refusal(line + "}}"), Refusal::none);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5 * kSlowness));
}

TEST_F(MessageTest, StringsOfEveryLengthAndAlignment) {
    for (size_t length = 0; length < 100; ++length) {
        for (const char* tail : {"", "\\n", "\u00e9", "\U0001f600"}) {
            const std::string value = std::string(length, 'x') + tail;
            EXPECT_EQ(refusal("{\"method\":\"x\",\"params\":{\"a\":\"" + value + "\"}}"), Refusal::none) << value;
            EXPECT_EQ(refusal("{\"method\":\"x\",\"params\":{\"a\":\"" + value + "\xff\"}}"), Refusal::invalid_utf8);
            EXPECT_EQ(refusal("{\"method\":\"x\",\"params\":{\"a\":\"" + value), Refusal::incomplete);
            EXPECT_EQ(refusal("{\"method\":\"x\",\"params\":{\"a\":\"" + value + "\x01\"}}"), Refusal::not_json);
            EXPECT_EQ(refusal("{\"method\":\"x\",\"params\":{\"a\":\"" + value + "\n"), Refusal::not_json);
        }
    }
}

TEST_F(MessageTest, NamesHaveALimit) {
    const auto call = [](size_t length) { return R"({"id":1,"method":")" + std::string(length, 'm') + "\"}"; };
    EXPECT_EQ(refusal(call(kNameBytesMax)), Refusal::none);
    EXPECT_EQ(refusal(call(kNameBytesMax + 1)), Refusal::invalid_member);
    const auto id = [](size_t length) { return R"({"method":"x","id":")" + std::string(length, 'i') + "\"}"; };
    EXPECT_EQ(refusal(id(kIdBytesMax)), Refusal::none);
    EXPECT_EQ(refusal(id(kIdBytesMax + 1)), Refusal::invalid_id);
}

TEST_F(MessageTest, ALineOverTheLargestFrameIsNotRead) {
    const std::string line(kFrameBytesMax + 1, ' ');
    EXPECT_EQ(parser_.parse(line).refusal, Refusal::too_long);
}

TEST_F(MessageTest, ADocumentMayHaveAnyLineEndsBetweenItsTokens) {
    const std::string pretty = "{\r\n  \"id\": 1,\r  \"method\": \"ping\"\n}\r\n\r\n";
    const Message& message = parser_.parse(pretty, JsonText::document);
    EXPECT_EQ(message.kind, MessageKind::request);
    EXPECT_EQ(message.method, "ping");
    EXPECT_EQ(refusal(pretty), Refusal::carriage_return);
    EXPECT_EQ(parser_.parse("{\"id\":1,\"method\":\"a\rb\"}", JsonText::document).refusal, Refusal::carriage_return);
    EXPECT_EQ(parser_.parse("{\"id\":1,\"method\":\"a\nb\"}", JsonText::document).refusal, Refusal::not_json);
}

TEST_F(MessageTest, AParserIsReusable) {
    parse(R"({"id":1,"method":"tools/call","params":{"name":"a\u0062","arguments":{"x":1}}})");
    const Message& m = parse(R"({"method":"y"})");
    EXPECT_EQ(m.kind, MessageKind::notification);
    EXPECT_EQ(m.id_token, "");
    EXPECT_EQ(m.name, "");
    EXPECT_EQ(m.arguments, "");
    EXPECT_TRUE(m.argument_keys.empty());
}

}  // namespace
}  // namespace callgate
