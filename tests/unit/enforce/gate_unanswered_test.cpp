// What becomes of what a call was charged when nobody ever answers it: the limit's "count_unanswered".
#include <gtest/gtest.h>

#include <random>

#include "base/clock.h"
#include "gate_fixture.h"
#include "http_fixture.h"

namespace callgate {
namespace {

constexpr char kPolicy[] = R"({"version":"1","default":"deny","tools":{
    "given":{"limits":[{"counter":"g","window":"day","max":3,"count_unanswered":false}]},
    "kept":{"limits":[{"counter":"k","window":"day","max":3}]}}})";

std::string cancel_json(std::string_view id) {
    return R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":)" + std::string(id) + "}}";
}
std::string error_line(std::string_view id) { return error_json(id) + "\n"; }

// Of the only counter that there is.
int64_t only_count(const CounterTable& counters) {
    const auto rows = counters.rows(realtime_ns());
    return rows.size() == 1 ? rows[0].count : -1;
}

class Unanswered : public ::testing::Test {
  protected:
    Unanswered() : gate_(world_.options(kPolicy), world_.counters, *world_.log, to_server_, to_client_) {}
    void call(std::string_view id, std::string_view tool) { gate_.client_bytes(call_line(id, tool)); }
    void cancel(std::string_view id) { gate_.client_bytes(cancel_json(id) + "\n"); }
    void server(std::string_view line) { gate_.server_bytes(line); }
    int64_t count() { return only_count(world_.counters); }

    GateWorld world_;
    Outbox to_server_, to_client_;
    Gate gate_;
};

TEST_F(Unanswered, StaysChargedWhereTheLimitSaysNothing) {
    call("1", "kept");
    cancel("1");
    gate_.session_ended();
    EXPECT_EQ(count(), 1);
}

TEST_F(Unanswered, ACancelledCallIsGivenBackOnce) {
    for (const std::string& late : {result_line("1"), error_line("1"), result_line("1", R"({"isError":true})"), std::string()}) {
        call("1", "given");
        call("2", "given");
        cancel("1");
        EXPECT_EQ(count(), 1);
        cancel("1");
        cancel("9");
        EXPECT_EQ(count(), 1);
        server(late.empty() ? result_line("1") : late);
        EXPECT_EQ(count(), 1) << late;
        server(error_line("2"));
        EXPECT_EQ(count(), 0);
    }
}

TEST_F(Unanswered, TheEndOfTheSessionGivesBackWhatHasNoAnswer) {
    for (const char* id : {"1", "2", "3"}) call(id, "given");
    server(result_line("1"));
    cancel("2");
    gate_.session_ended();
    EXPECT_EQ(count(), 1);
    gate_.session_ended();
    EXPECT_EQ(count(), 1);
}

TEST_F(Unanswered, AGateThatGoesFirstGivesNothingBack) {
    {
        Gate gate(world_.options(kPolicy), world_.counters, *world_.log, to_server_, to_client_);
        gate.client_bytes(call_line("1", "given"));
    }
    EXPECT_EQ(count(), 1);
}

TEST_F(Unanswered, OfTwoCallsWithOneIdNeitherIsGivenBack) {
    call("1", "given");
    call("1", "given");
    cancel("1");
    server(result_line("1"));
    cancel("1");
    gate_.session_ended();
    EXPECT_EQ(count(), 2);
}

TEST_F(Unanswered, WhatMayHaveBeenTheAnswerIsOne) {
    call("1", "given");
    server(R"({"jsonrpc":"2.0","id":1,"id":1,"result":{}})"
           "\n");
    cancel("1");
    gate_.session_ended();
    EXPECT_EQ(count(), 1);
}

TEST_F(Unanswered, NeverBelowZeroNorAboveTheMaximum) {
    std::mt19937 random(7);
    const auto any_id = [&] { return std::to_string(random() % 6); };
    call("0", "given");
    for (int step = 0; step < 4000; ++step) {
        const std::string id = any_id();
        switch (random() % 5) {
            case 0:
            case 1: call(id, "given"); break;
            case 2: cancel(id); break;
            case 3: server(result_line(id)); break;
            default: server(error_line(id)); break;
        }
        ASSERT_GE(count(), 0);
        ASSERT_LE(count(), 3);
    }
}

class HttpUnanswered : public ::testing::Test {
  protected:
    std::string call(HttpWire& wire, std::string_view id, std::string_view tool) {
        return wire.to_server_by(client(post(call_json(id, tool))));
    }
    int64_t count() { return only_count(world_.counters()); }
    HttpWorld world_{kPolicy};
};

TEST_F(HttpUnanswered, TheEndOfTheExchange) {
    for (const char* tool : {"given", "kept"}) {
        HttpWorld world(kPolicy);
        {
            HttpWire wire(world);
            ASSERT_NE(call(wire, "1", tool), "");
            EXPECT_EQ(only_count(world.counters()), 1);
        }
        EXPECT_EQ(only_count(world.counters()), tool == std::string_view("kept") ? 1 : 0);
    }
}

TEST_F(HttpUnanswered, ACancelledCallIsGivenBackOnce) {
    HttpWire wire(world_), other(world_, local_facts(41000));
    ASSERT_NE(call(wire, "1", "given"), "");
    other.play(client(post(cancel_json("1"))));
    EXPECT_EQ(count(), 0);
}

TEST_F(HttpUnanswered, ALateAnswerChangesNothing) {
    HttpWire wire(world_), other(world_, local_facts(41000));
    ASSERT_NE(call(wire, "1", "given"), "");
    other.play(client(post(cancel_json("1"))));
    other.play(server(response("", "", "202 Accepted")));
    ASSERT_NE(call(other, "2", "given"), "");
    wire.play(server(response(error_json("1"))));
    EXPECT_EQ(count(), 1);
    other.play(server(response(result_json("2"))));
    EXPECT_EQ(count(), 1);
}

TEST_F(HttpUnanswered, WhatMayBeFetchedElsewhereEndsWithItsSession) {
    {
        HttpWire wire(world_);
        ASSERT_NE(call(wire, "1", "given"), "");
        wire.play(server(kEventsHead + chunk("id: 1\ndata:\n\n")));
    }
    EXPECT_EQ(count(), 1);
    world_.sessions->end_all("over");
    EXPECT_EQ(count(), 0);
}

TEST_F(HttpUnanswered, AnAnswerThatNobodyReadsIsOne) {
    {
        HttpWire wire(world_);
        ASSERT_NE(call(wire, "1", "given"), "");
        wire.play(server(response("\x1f\x8b", "Content-Encoding: gzip\r\n")));
    }
    EXPECT_EQ(count(), 1);
}

}  // namespace
}  // namespace callgate
