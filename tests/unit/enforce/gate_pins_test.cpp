// Pinned tools on stdio and over HTTP: lists that can be read, and lists that only a careless client could.
#include "http_fixture.h"

namespace callgate {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr char kPinning[] = R"({"version":"1","default":"allow","tools":{"x":{"pin":true},"y":{}},"aliases":{"z":"x"}})";

std::string list_request(int id) { return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":"tools/list"})"; }
std::string list_of(int id, const std::string& description) {
    return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"result":{"tools":[{"name":"x","description":")" + description +
           R"("},{"name":"y"}]}})";
}

class GatePins : public ::testing::Test {
  protected:
    explicit GatePins(const char* policy = kPinning) {
        GateOptions options = world_.options(policy);
        options.pins = &pins_;
        gate_ = std::make_unique<Gate>(std::move(options), world_.counters, *world_.log, to_server_, to_client_);
    }
    // The server's answer to a request for a list.
    void answer_list(const std::string& line) {
        gate_->client_bytes(list_request(++id_) + "\n");
        gate_->server_bytes(line + "\n");
    }
    void list(const std::string& description) {
        gate_->client_bytes(list_request(++id_) + "\n");
        gate_->server_bytes(list_of(id_, description) + "\n");
    }
    bool may_call(std::string_view tool) {
        to_server_.clear();
        to_client_.clear();
        gate_->client_bytes(call_line(std::to_string(++id_), tool));
        return to_server_.size() > 0;
    }
    std::string said() const { return std::string(to_client_.first()) + std::string(to_client_.second()); }
    int next_id() const { return id_ + 1; }

    GateWorld world_;
    PinTable pins_;
    Outbox to_server_, to_client_;
    std::unique_ptr<Gate> gate_;
    int id_ = 0;
};

TEST_F(GatePins, AChangedToolIsDeniedByEachOfItsNames) {
    list("a");
    EXPECT_TRUE(may_call("x"));
    list("b");
    EXPECT_FALSE(may_call("x"));
    EXPECT_THAT(said(), HasSubstr(R"("rule":"/tools/x/pin")"));
    EXPECT_THAT(said(), HasSubstr("is defined otherwise than when it was pinned"));
    EXPECT_FALSE(may_call("z"));
    EXPECT_TRUE(may_call("y"));
    const std::string audit = world_.audit_text();
    EXPECT_THAT(audit, HasSubstr(R"("type":"pin_added")"));
    EXPECT_THAT(audit, HasSubstr(R"("type":"pin_changed")"));
}

TEST_F(GatePins, AListThatOnlyOtherReadersReadMayHaveChangedEverything) {
    const std::string bodies[] = {
        R"({"jsonrpc":"2.0","id":ID,"result":{"tools":[{"name":"x","description":"a","description":"evil"}]}})",
        R"([{"jsonrpc":"2.0","id":ID,"result":{"tools":[{"name":"x"}]}}])",
        "\xef\xbb\xbf"
        R"({"jsonrpc":"2.0","id":ID,"result":{"tools":[]}})",
        R"({"jsonrpc":"2.0","id":ID,"result":{"tools":[{"name":"x","description":"\ud800"}]}})",
        R"({"jsonrpc":"2.0","id":ID,"result":{"tools":[{"name":"x","n":NaN}]}})",
        R"({"jsonrpc":"2.0","id":ID,"result":{"tools":[{"name":"x"},7]}})",
        R"({"jsonrpc":"2.0","id":ID,"result":{"Tools":[]}})",
        R"({"jsonrpc":"2.0","id":ID,"result":{"tools":[],"Tools":[{"name":"x"}]}})",
        R"({"jsonrpc":"2.0","id":ID,"result":{"tools":[{"Name":"x","description":"evil"}]}})",
        R"({"jsonrpc":"2.0","id":ID,"result":{"tools":[{"name":"z","NAME":"x"}]}})",
        R"({"jsonrpc":"2.0","id":ID,"result":{"tools":[{"name":"x","n":1e999}]}})",
        "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{\"tools\":[{\"name\":\"x\",\"description\":\"\t\"}]}}",
    };
    for (const std::string& body : bodies) {
        PinTable table;
        GateOptions options = world_.options(kPinning);
        options.pins = &table;
        Gate gate(std::move(options), world_.counters, *world_.log, to_server_, to_client_);
        gate.client_bytes(list_request(1) + "\n");
        gate.server_bytes(list_of(1, "a") + "\n");
        gate.client_bytes(list_request(2) + "\n");
        std::string line = body;
        line.replace(line.find("ID"), 2, "2");
        gate.server_bytes(line + "\n");
        to_server_.clear();
        gate.client_bytes(call_line("3", "x"));
        EXPECT_EQ(to_server_.size(), 0u) << body;
        gate.client_bytes(call_line("4", "y"));
        EXPECT_GT(to_server_.size(), 0u) << body;
    }
    EXPECT_THAT(world_.audit_text(), HasSubstr(R"("type":"pin_unreadable")"));
}

TEST_F(GatePins, WhatIsNoAnswerToAListChangesNothing) {
    list("a");
    gate_->server_bytes("{\"level\":\"info\",\"level\":\"x\"}\n");  // nobody waits for a list
    gate_->client_bytes(call_line("77", "y"));
    gate_->client_bytes(list_request(78) + "\n");
    gate_->server_bytes("{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{\"a\":\"\\ud800\"}}\n");  // the answer to the call
    gate_->server_bytes("{ level: 'info' }\n{\n");                                            // no JSON
    gate_->server_bytes(R"({"jsonrpc":"2.0","id":78,"error":{"code":-1,"message":"later"}})"
                        "\n");  // no list
    EXPECT_TRUE(may_call("x"));
}

class GatePinsAll : public GatePins {
  protected:
    GatePinsAll() : GatePins(R"({"version":"1","default":"allow","pin":true,"tools":{"y":{"pin":false}}})") {}
};

TEST_F(GatePinsAll, ButForThoseThatSayNo) {
    list("a");
    gate_->client_bytes(list_request(50) + "\n");
    gate_->server_bytes(R"({"jsonrpc":"2.0","id":50,"result":{"tools":[{"name":"x"},{"name":"y","a":1}]}})"
                        "\n");
    EXPECT_FALSE(may_call("x"));
    EXPECT_THAT(said(), HasSubstr(R"("rule":"/pin")"));
    EXPECT_TRUE(may_call("y"));
}

class HttpPins : public ::testing::Test {
  protected:
    // On a connection of its own; true where the request reached the server.
    bool exchange(const std::string& body, const std::string& answer) {
        HttpWire wire(world_);
        wire.play(client(post(body)));
        if (wire.to_server.empty()) return false;
        wire.play(server(answer));
        said_ = wire.to_client;
        return true;
    }
    void list(const std::string& description) { exchange(list_request(1), response(list_of(1, description))); }
    bool may_call() { return exchange(call_json("9", "x"), response(result_json("9"))); }
    HttpWorld world_{kPinning};
    std::string said_;
};

TEST_F(HttpPins, InBodiesAndInEvents) {
    list("a");
    EXPECT_TRUE(may_call());
    exchange(list_request(1), kEventsHead + chunk(sse(list_of(1, "b"))) + kLastChunk);
    EXPECT_THAT(said_, HasSubstr("\"b\""));  // the client gets it
    EXPECT_FALSE(may_call());
    EXPECT_THAT(world_.audit(), Contains("pin_changed x"));
}

TEST_F(HttpPins, AListThatOnlyOtherReadersRead) {
    list("a");
    exchange(list_request(1), response(R"({"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"x","a":1,"a":2}]}})"));
    EXPECT_FALSE(may_call());
}

TEST_F(HttpPins, ACompressedListIsNotPassedUnseen) {
    exchange(list_request(1), response("xxxx", "Content-Encoding: gzip\r\n"));
    EXPECT_THAT(said_, HasSubstr("502 Bad Gateway"));
}

}  // namespace
}  // namespace callgate
