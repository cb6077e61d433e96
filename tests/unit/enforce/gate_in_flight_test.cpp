// How many calls are with the server: until it answers or the session ends, and never until the caller says so.
#include <gtest/gtest.h>

#include "gate_fixture.h"
#include "http_fixture.h"

namespace callgate {
namespace {

constexpr char kPolicy[] =
    R"({"version":"1","default":"deny","tools":{"ok":{},"one":{"limits":[{"counter":"c","max_in_flight":1}]},
    "kept":{"limits":[{"counter":"k","window":"day","max":1,"count_failed":true}]},
    "pay":{"limits":[{"counter":"p","window":"day","max":10,"increment_from":"args.n"}]}}})";

class InFlight : public ::testing::Test {
  protected:
    InFlight() { begin(); }
    void begin() {
        gate_.reset();
        gate_ = std::make_unique<Gate>(world_.options(kPolicy), world_.counters, *world_.log, to_server_, to_client_);
    }
    bool passes(const std::string& line) {
        to_server_.clear();
        gate_->client_bytes(line);
        return to_server_.size() != 0;
    }
    bool passes(std::string_view id, std::string_view tool) { return passes(call_line(id, tool)); }
    void server(std::string_view line) { gate_->server_bytes(line); }

    GateWorld world_;
    Outbox to_server_, to_client_;
    std::unique_ptr<Gate> gate_;
};

TEST_F(InFlight, AnAnswerOfAnyKindEndsIt) {
    for (const std::string& answer : {result_line("1"), result_line("1", R"({"isError":true})"),
                                      std::string(R"({"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}})"
                                                  "\n")}) {
        ASSERT_TRUE(passes("1", "one"));
        EXPECT_FALSE(passes("2", "one"));
        server(answer);
    }
    EXPECT_TRUE(passes("3", "one"));
}

TEST_F(InFlight, CancellingDoesNotEndIt) {
    ASSERT_TRUE(passes("1", "one"));
    EXPECT_TRUE(passes(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})"
                       "\n"));
    EXPECT_FALSE(passes("2", "one"));
}

// Nobody answers a notification: it counts in its window, and is in flight for no time at all.
TEST_F(InFlight, ANotificationIsNeverInFlight) {
    const auto notify = [](std::string_view tool) {
        return R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":")" + std::string(tool) + "\"}}\n";
    };
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(passes(notify("one"))) << i;
    EXPECT_TRUE(passes("1", "one"));
    EXPECT_FALSE(passes(notify("one")));
    server(result_line("1"));
    EXPECT_TRUE(passes(notify("kept")));
    EXPECT_FALSE(passes("2", "kept"));
    EXPECT_TRUE(passes("3", "one"));
}

TEST_F(InFlight, TheEndOfTheSessionEndsIt) {
    ASSERT_TRUE(passes("1", "one"));
    begin();
    EXPECT_TRUE(passes("1", "one"));
}

TEST_F(InFlight, AnotherAnswerUnderItsIdDoesNotEndIt) {
    ASSERT_TRUE(passes("1", "one"));
    ASSERT_TRUE(passes("1", "ok"));
    server(result_line("1"));
    EXPECT_FALSE(passes("2", "one"));
    server(result_line("1"));
    EXPECT_TRUE(passes("2", "one"));
}

TEST_F(InFlight, FailuresCountWhereTheLimitSaysSo) {
    ASSERT_TRUE(passes("1", "kept"));
    server(result_line("1", R"({"isError":true})"));
    EXPECT_FALSE(passes("2", "kept"));
    begin();
    EXPECT_FALSE(passes("3", "kept"));
}

TEST_F(InFlight, TheArgumentOfTheCallIsSummed) {
    const auto pay = [](std::string_view id, std::string_view arguments) {
        return R"({"jsonrpc":"2.0","id":)" + std::string(id) + R"(,"method":"tools/call","params":{"name":"pay","arguments":)" +
               std::string(arguments) + "}}\n";
    };
    EXPECT_TRUE(passes(pay("1", R"({"n":9.5})")));
    EXPECT_FALSE(passes(pay("2", R"({"n":0.6})")));
    EXPECT_TRUE(passes(pay("3", R"({"n":0.5})")));
    EXPECT_FALSE(passes(call_line("4", "pay")));
    server(R"({"jsonrpc":"2.0","id":3,"error":{"code":1,"message":"x"}})"
           "\n");
    EXPECT_TRUE(passes(pay("5", R"({"n":0.5})")));
    gate_.reset();
    EXPECT_NE(world_.audit_text().find(R"("counters":[{"name":"p","count":9.5,"max":10,"window_start":)"), std::string::npos);
}

class HttpInFlight : public ::testing::Test {
  protected:
    bool passes(HttpWire& wire) { return !wire.to_server_by(client(post(call_json("1", "one")))).empty(); }
    bool passes_elsewhere() {
        HttpWire other(world_, local_facts(41000));
        return passes(other);
    }
    HttpWorld world_{kPolicy};
};

TEST_F(HttpInFlight, UntilTheServerAnswers) {
    HttpWire wire(world_);
    ASSERT_TRUE(passes(wire));
    EXPECT_FALSE(passes_elsewhere());
    wire.play(server(response(result_json("1"))));
    EXPECT_TRUE(passes_elsewhere());
}

TEST_F(HttpInFlight, ANotificationIsNeverInFlight) {
    const std::string notification = R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"one"}})";
    HttpWire wire(world_);
    for (int i = 0; i < 3; ++i) {
        EXPECT_NE(wire.to_server_by(client(post(notification))), "") << i;
        wire.play(server(response("", "", "202 Accepted")));
    }
    // Nor is it one of an array.
    EXPECT_NE(wire.to_server_by(client(post("[" + notification + "," + call_json("1", "ok") + "]"))), "");
    EXPECT_TRUE(passes_elsewhere());
}

TEST_F(HttpInFlight, ARefusalOfTheServersEndsItToo) {
    for (const char* status : {"500 Internal Server Error", "404 Not Found", "202 Accepted"}) {
        HttpWire wire(world_, local_facts(40001));
        ASSERT_TRUE(passes(wire)) << status;
        wire.play(server(response("", "", status)));
    }
    EXPECT_TRUE(passes_elsewhere());
}

TEST_F(HttpInFlight, TheEndOfTheConnectionEndsIt) {
    {
        HttpWire wire(world_);
        ASSERT_TRUE(passes(wire));
    }
    EXPECT_TRUE(passes_elsewhere());
}

TEST_F(HttpInFlight, WhatMayBeAnsweredOnAStreamIsInFlightUntilItsSessionEnds) {
    HttpWire stream(world_);
    stream.play(client("GET /sse HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"));
    stream.play(server(kEventsHead + chunk("event: endpoint\ndata: /messages?s=1\n\n")));
    {
        HttpWire wire(world_, local_facts(40001));
        ASSERT_NE(wire.to_server_by(client(post(call_json("1", "one"), "", "/messages?s=1"))), "");
        wire.play(server(response("Accepted", "", "202 Accepted", "text/plain")));
    }
    EXPECT_FALSE(passes_elsewhere());
    stream.gate.reset();
    EXPECT_TRUE(passes_elsewhere());
}

}  // namespace
}  // namespace callgate
