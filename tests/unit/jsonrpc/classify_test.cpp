#include "jsonrpc/classify.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

Protocol of(std::string_view bytes) {
    MessageParser parser;
    return classify_bytes(bytes, parser);
}

constexpr std::string_view kCall = R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}})"
                                   "\n";
constexpr std::string_view kForeign = R"({"jsonrpc":"2.0","id":1,"method":"session/new","params":{}})"
                                      "\n";

TEST(Classify, RecordedFirstFramesOfMcpClients) {
    for (
        const char* line :
        {R"({"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"claude-code"}},"jsonrpc":"2.0","id":0})",
         R"({"jsonrpc":"2.0","id":"server-discover-probe-1","method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}})",
         R"({"method":"tools/list","jsonrpc":"2.0","id":0,"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}})",
         R"({"jsonrpc":"2.0","id":0,"method":"vendor/own","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}})",
         R"({"method":"initialize","params":{"protocolVersion":"2024-11-05"},"id":0})",
         R"({"id":1,"method":"tools/call","params":{}})", R"({"jsonrpc":"2.0","id":1,"method":"ping"})"}) {
        EXPECT_EQ(of(line), Protocol::mcp) << line;
        EXPECT_EQ(of("\n\r\n" + std::string(line) + "\n"), Protocol::mcp) << line;
    }
}

TEST(Classify, LookAlikes) {
    for (const char* line :
         {R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":1,"clientCapabilities":{}}})",
          R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"processId":1,"rootUri":null,"capabilities":{}}})",
          R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"rootUri":null,"capabilities":{}}})",
          R"({"id":0,"method":"initialize","params":{"clientInfo":{"name":"n","version":"v"}}})", R"({"method":"initialized"})",
          R"({"type":"control_request","request":{}})", R"({"type":"user"})",
          R"({"seq":1,"type":"request","command":"initialize"})", R"({"id":1,"result":{}})",
          R"({"jsonrpc":"2.0","id":1,"method":"eth_call","params":{}})"}) {
        EXPECT_EQ(of(line), Protocol::foreign) << line;
        EXPECT_EQ(of(std::string(line) + "\r\n"), Protocol::foreign) << line;
    }
}

TEST(Classify, InitializeWithoutAVersionIsOpen) {
    EXPECT_EQ(of(R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{}})"), Protocol::json_like);
    EXPECT_EQ(of(R"({"jsonrpc":"2.0","id":0,"method":"initialize"})"), Protocol::json_like);
    EXPECT_EQ(of(R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":null}})"), Protocol::json_like);
}

TEST(Classify, LanguageServerFrames) {
    const std::string body = R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"processId":1}})";
    const std::string header = "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    EXPECT_EQ(of("Content-Length: 90\r\n\r\n"), Protocol::foreign);
    EXPECT_EQ(of(header + body), Protocol::foreign);
    EXPECT_EQ(of(header + body + header + body), Protocol::foreign);
    EXPECT_EQ(of(header + body.substr(0, 30)), Protocol::json_like);
    EXPECT_EQ(of("content-length: " + std::to_string(body.size()) + "\r\nContent-Type: x; charset=utf-8\r\n\r\n" + body + header),
              Protocol::foreign);
}

TEST(Classify, AHeaderHidesNoCall) {
    const std::string call(kCall);
    EXPECT_EQ(of("Content-Length: 68\r\n\r\n" + call), Protocol::mcp);
    EXPECT_EQ(of("Content-Length: 9999\r\n\r\n" + call), Protocol::mcp);
    EXPECT_EQ(of("Content-Length: 5\r\n\r\n" + call), Protocol::mcp);
    EXPECT_EQ(of("Content-Length: 7\r\n\r\n{\"a\":1}" + call), Protocol::mcp);
    EXPECT_EQ(of("Content-Length: 200\n\n{\"a\":\n" + call + "}\n"), Protocol::mcp);
    EXPECT_EQ(of("Content-Length: 0\n" + call), Protocol::mcp);
    EXPECT_EQ(of("Content-Length: {\n"), Protocol::json_like);
}

TEST(Classify, McpWinsWhateverStandsBeforeIt) {
    const std::string call(kCall);
    for (const char* junk : {"hello\n", "\n\n", "{broken\n", "[1,2]\n", "\xff\xfe\n", "{\"type\":\"user\"}\n", "}{\n"}) {
        EXPECT_EQ(of(junk + call), Protocol::mcp) << junk;
        EXPECT_EQ(of(call + junk), Protocol::mcp) << junk;
    }
    EXPECT_EQ(of(std::string(kForeign) + call), Protocol::mcp);
}

TEST(Classify, WhatALenientReaderCouldReadIsJsonLike) {
    for (const std::string& bytes :
         {std::string("{\"jsonrpc\":\"2.0\",\"id\":1,\"meth"), std::string("{jsonrpc:\"2.0\",method:\"tools/call\"}\n"),
          "junk" + std::string(kCall), std::string("\xef\xbb\xbf{\"method\":\n"), "[" + std::string(kCall),
          std::string("[{\"id\":1}]\n"), std::string("{\"method\":\"x\",\"method\":\"tools/call\"}\n"),
          std::string("x\r{\"a\":1}\r\n"), std::string("{\n\"jsonrpc\":\"2.0\"\n}\n"), std::string("{\"jsonrpc\":\"2.0\"}\n")}) {
        EXPECT_EQ(of(bytes), Protocol::json_like) << bytes;
    }
    EXPECT_EQ(of("{bad\n" + std::string(kForeign)), Protocol::json_like);
}

TEST(Classify, Undecided) {
    for (const char* bytes : {"", "\n", "\r\n \n", "hello world\n", "> ", "C", "123\n", "null\n", "\"text\"\n"}) {
        EXPECT_EQ(of(bytes), Protocol::undecided) << bytes;
    }
}

TEST(Classify, AResponseAloneCannotBeRuledOut) {
    const std::string response = R"({"jsonrpc":"2.0","id":1,"result":{}})"
                                 "\n";
    EXPECT_EQ(of(response), Protocol::json_like);
    EXPECT_EQ(of(response + std::string(kForeign)), Protocol::foreign);
    MessageParser parser;
    EXPECT_EQ(classify(parser.parse(response)), Protocol::undecided);
}

TEST(Classify, MethodNames) {
    for (const char* method : {"initialize", "ping", "tools/call", "tasks/update", "server/discover", "notifications/progress",
                               "subscriptions/listen", "logging/setLevel", "completion/complete"}) {
        EXPECT_TRUE(is_mcp_method(method)) << method;
    }
    for (const char* method : {"", "tools", "Tools/call", "session/new", "initialized", "textDocument/didOpen", "exit",
                               "notifications/other", "$/cancelRequest", "mcp/message"}) {
        EXPECT_FALSE(is_mcp_method(method)) << method;
    }
}

}  // namespace
}  // namespace callgate
