// Calls that wait for room in a limit, over stdio and over HTTP. Time is given: WaitingCalls::run() says when it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "gate_fixture.h"
#include "http_fixture.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

// Room is made by calls that end, so that no test depends on when a window begins.
constexpr char kPolicy[] = R"({"version":"1","default":"deny","tools":{"ok":{},
    "one":{"limits":[{"counter":"c","max_in_flight":1,"on_exceed":"delay","max_delay_ms":60000}]},
    "soon":{"limits":[{"counter":"s","window":31622400,"max":1,"on_exceed":"delay","max_delay_ms":5}]},
    "both":{"limits":[{"counter":"n","window":31622400,"max":0},{"counter":"b","max_in_flight":1,"on_exceed":"delay","max_delay_ms":60000}]}}})";

constexpr int64_t kMinute = 60'000'000'000;

std::string cancel_line(std::string_view id) {
    return R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":)" + std::string(id) + "}}\n";
}

class GateWaiting : public ::testing::Test {
  protected:
    GateWaiting() : gate_(make()) {}
    ~GateWaiting() override {
        if (gate_) {
            EXPECT_TRUE(gate_->counts().conserved());
        }
    }
    std::unique_ptr<Gate> make() {
        return std::make_unique<Gate>(world_.options(kPolicy), world_.counters, *world_.log, to_server_, to_client_);
    }
    static std::string taken(Outbox& box) {
        const std::string text(box.text());
        box.clear();
        return text;
    }
    std::string client(std::string_view bytes) {
        gate_->client_bytes(bytes);
        return taken(to_server_);
    }
    std::string run(int64_t later_ns = 0) {
        world_.counters.waiting().run(monotonic_ns() + later_ns);
        return taken(to_server_);
    }
    size_t waiting() { return world_.counters.waiting().size(); }

    GateWorld world_;
    Outbox to_server_, to_client_;
    std::unique_ptr<Gate> gate_;
};

TEST_F(GateWaiting, ACallWaitsForRoomAndOthersPassIt) {
    EXPECT_EQ(client(call_line("1", "one")), call_line("1", "one"));
    EXPECT_EQ(client(call_line("2", "one")), "");
    EXPECT_EQ(gate_->counts().held, 1u);
    EXPECT_EQ(client(call_line("3", "ok")), call_line("3", "ok"));
    EXPECT_EQ(run(), "");
    gate_->server_bytes(result_line("1"));
    EXPECT_EQ(run(), call_line("2", "one"));
    EXPECT_EQ(gate_->counts().held, 0u);
    EXPECT_EQ(gate_->pending_requests(), 2u);
    EXPECT_EQ(taken(to_client_), result_line("1"));  // and no answer of ours
}

TEST_F(GateWaiting, RoomGoesToWhoCameFirstEvenAcrossSessions) {
    Outbox other_to_server, other_to_client;
    Gate other(world_.options(kPolicy), world_.counters, *world_.log, other_to_server, other_to_client);
    client(call_line("1", "one"));
    other.client_bytes(call_line("1", "one"));
    client(call_line("2", "one"));
    gate_->server_bytes(result_line("1"));
    // Room, but not for one who comes now.
    EXPECT_EQ(client(call_line("3", "one")), "");
    EXPECT_EQ(run(), "");
    EXPECT_EQ(taken(other_to_server), call_line("1", "one"));
    other.server_bytes(result_line("1"));
    EXPECT_EQ(run(), call_line("2", "one"));
    gate_->server_bytes(result_line("2"));
    EXPECT_EQ(run(), call_line("3", "one"));
}

TEST_F(GateWaiting, ItsTimeEndsWithTheAnswerOfTheLimit) {
    client(call_line("1", "one"));
    client(call_line("2", "one"));
    EXPECT_EQ(run(kMinute - 1'000'000'000), "");
    EXPECT_EQ(taken(to_client_), "");
    EXPECT_EQ(run(kMinute), "");
    const std::string answer = taken(to_client_);
    EXPECT_THAT(answer, HasSubstr(R"("id":2)"));
    EXPECT_THAT(answer, HasSubstr("/tools/one/limits/c"));
    EXPECT_THAT(answer, HasSubstr("-31429"));
    EXPECT_EQ(gate_->counts().denied, 1u);
    EXPECT_EQ(waiting(), 0u);
}

TEST_F(GateWaiting, ACallThatCannotGetRoomInTimeIsDeniedAtOnce) {
    EXPECT_NE(client(call_line("1", "soon")), "");
    EXPECT_EQ(client(call_line("2", "soon")), "");
    EXPECT_THAT(taken(to_client_), HasSubstr("retryAfterMs"));
    EXPECT_EQ(client(call_line("3", "both")), "");
    EXPECT_THAT(taken(to_client_), HasSubstr("/tools/both/limits/n"));
    EXPECT_EQ(waiting(), 0u);
}

TEST_F(GateWaiting, ACancelledCallNeverReachesTheServer) {
    client(call_line("1", "one"));
    client(call_line("2", "one"));
    client(call_line("\"x\"", "one"));
    EXPECT_EQ(client(cancel_line("2")), cancel_line("2"));
    EXPECT_EQ(waiting(), 1u);
    EXPECT_EQ(taken(to_client_), "");
    gate_->server_bytes(result_line("1"));
    EXPECT_EQ(run(), call_line("\"x\"", "one"));
    gate_->server_bytes(result_line("\"x\""));
    EXPECT_EQ(run(kMinute), "");
    gate_.reset();
    EXPECT_THAT(world_.audit_text(), HasSubstr("(cancelled while it waited)"));
}

TEST_F(GateWaiting, CancellingAnotherIdChangesNothing) {
    client(call_line("1", "one"));
    client(call_line("2", "one"));
    client(cancel_line("\"2\""));
    client(cancel_line("3"));
    EXPECT_EQ(waiting(), 1u);
}

TEST_F(GateWaiting, TheEndOfTheSessionDropsThem) {
    client(call_line("1", "one"));
    client(call_line("2", "one"));
    gate_->drop_held();
    EXPECT_EQ(waiting(), 0u);
    EXPECT_EQ(gate_->counts().denied, 1u);
    EXPECT_TRUE(gate_->counts().conserved());
    gate_.reset();
    gate_ = make();
    EXPECT_NE(client(call_line("1", "one")), "");
    client(call_line("2", "one"));
    gate_.reset();
    EXPECT_EQ(waiting(), 0u);
}

TEST_F(GateWaiting, HandBackAnswersThem) {
    client(call_line("1", "one"));
    client(call_line("2", "one"));
    gate_->end_waiting();
    EXPECT_THAT(taken(to_client_), HasSubstr("/tools/one/limits/c"));
    EXPECT_EQ(client(call_line("3", "one")), "");
    EXPECT_EQ(gate_->counts().denied, 2u);
    EXPECT_EQ(waiting(), 0u);
}

TEST_F(GateWaiting, NotificationsDoNotWait) {
    client(call_line("1", "one"));
    EXPECT_EQ(client(R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"one"}})"
                     "\n"),
              "");
    EXPECT_EQ(waiting(), 0u);
    EXPECT_EQ(gate_->counts().denied, 1u);
}

TEST_F(GateWaiting, I6OneMoreThanMayWaitIsDenied) {
    client(call_line("0", "one"));
    for (size_t i = 1; i <= kDelayedCallsMax; ++i) client(call_line(std::to_string(i), "one"));
    EXPECT_EQ(taken(to_client_), "");
    client(call_line("9999", "one"));
    EXPECT_THAT(taken(to_client_), HasSubstr(R"("id":9999)"));
    EXPECT_EQ(waiting(), kDelayedCallsMax);
}

TEST_F(GateWaiting, I6BytesThatWaitAreBounded) {
    client(call_line("0", "one"));
    const std::string large = R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"one","arguments":{"a":")" +
                              std::string(kDelayedBytesMax, 'x') + "\"}}}\n";
    EXPECT_EQ(client(large), "");
    EXPECT_THAT(taken(to_client_), HasSubstr("/tools/one/limits/c"));
    EXPECT_EQ(waiting(), 0u);
}

TEST_F(GateWaiting, TheyAreJudgedAgainByThePolicyInForce) {
    client(call_line("1", "one"));
    client(call_line("2", "one"));
    GateOptions stricter = world_.options(R"({"version":"1","default":"deny"})");
    gate_->use_policy(stricter.policy, stricter.audit_session);
    gate_->server_bytes(result_line("1"));
    EXPECT_EQ(run(), "");
    EXPECT_THAT(taken(to_client_), HasSubstr("(default deny)"));
}

class HttpWaiting : public ::testing::Test {
  protected:
    static std::string call(std::string_view id) { return post(call_json(id, "one")); }
    void run(int64_t later_ns = 0) { world_.counters().waiting().run(monotonic_ns() + later_ns); }
    size_t waiting() { return world_.counters().waiting().size(); }
    // The first call is with the server, the second waits.
    void one_waits(HttpWire& wire) {
        ASSERT_NE(first_.to_server_by(client(call("1"))), "");
        ASSERT_EQ(wire.to_server_by(client(call("2"))), "");
        ASSERT_EQ(wire.to_client, "");
        ASSERT_EQ(waiting(), 1u);
    }
    HttpWorld world_{kPolicy};
    HttpWire first_{world_, local_facts(40000)};
};

TEST_F(HttpWaiting, ACallWaitsForRoom) {
    HttpWire wire(world_, local_facts(40001)), other(world_, local_facts(40002));
    one_waits(wire);
    EXPECT_NE(other.to_server_by(client(post(call_json("3", "ok")))), "");
    first_.play(server(response(result_json("1"))));
    run();
    EXPECT_EQ(wire.to_server, canonical(call_json("2", "one")));
    EXPECT_NE(wire.to_client_by(server(response(result_json("2")))), "");
    expect_conserved(wire.gate->counts());
}

TEST_F(HttpWaiting, ItsTimeEndsWithTheAnswerOfTheLimit) {
    HttpWire wire(world_, local_facts(40001));
    one_waits(wire);
    run(kMinute);
    EXPECT_EQ(wire.to_server, "");
    EXPECT_THAT(wire.to_client, HasSubstr("/tools/one/limits/c"));
    EXPECT_EQ(wire.gate->counts().denied, 1u);
    expect_conserved(wire.gate->counts());
}

TEST_F(HttpWaiting, RequestsBehindItOnTheConnectionWaitToo) {
    HttpWire wire(world_, local_facts(40001));
    one_waits(wire);
    EXPECT_EQ(wire.to_server_by(client(post(call_json("3", "ok")))), "");
    run(kMinute);
    EXPECT_EQ(wire.to_server, canonical(call_json("3", "ok")));
}

TEST_F(HttpWaiting, CancelledOverAnotherConnection) {
    HttpWire wire(world_, local_facts(40001)), other(world_, local_facts(40002));
    one_waits(wire);
    std::string cancel = cancel_line("2");
    cancel.pop_back();
    EXPECT_NE(other.to_server_by(client(post(cancel))), "");
    EXPECT_EQ(waiting(), 0u);
    EXPECT_EQ(wire.to_server, "");
    EXPECT_THAT(wire.to_client, HasSubstr("HTTP/1.1 202"));
    expect_conserved(wire.gate->counts());
}

TEST_F(HttpWaiting, AClientThatGoesAwayIsDropped) {
    HttpWire wire(world_, local_facts(40001));
    one_waits(wire);
    wire.gate.reset();
    EXPECT_EQ(waiting(), 0u);
    first_.play(server(response(result_json("1"))));
    run();
    EXPECT_EQ(wire.to_server, "");
    first_.gate.reset();
    EXPECT_THAT(world_.audit(), ::testing::Contains(HasSubstr("(session ended while it waited)")));
    EXPECT_TRUE(world_.sessions_conserved());
}

TEST_F(HttpWaiting, AClientThatSaysNothingMoreIsAnswered) {
    HttpWire wire(world_, local_facts(40001));
    one_waits(wire);
    wire.play(client_end());
    EXPECT_THAT(wire.to_client, HasSubstr("/tools/one/limits/c"));
    EXPECT_EQ(waiting(), 0u);
}

TEST_F(HttpWaiting, AServerThatClosesEndsTheWait) {
    HttpWire wire(world_, local_facts(40001));
    one_waits(wire);
    wire.play(server_end());
    EXPECT_THAT(wire.to_client, HasSubstr("/tools/one/limits/c"));
    EXPECT_EQ(waiting(), 0u);
}

// Nothing has come to it of the request: the connection is idle, as it sees it, and Node ends those with an answer.
TEST_F(HttpWaiting, AServerThatTimesItOutEndsTheWait) {
    HttpWire wire(world_, local_facts(40001));
    one_waits(wire);
    wire.play(server("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"));
    EXPECT_THAT(wire.to_client, HasSubstr("/tools/one/limits/c"));
    EXPECT_THAT(wire.to_client, ::testing::Not(HasSubstr("408")));
    EXPECT_TRUE(wire.gate->close_client());
    EXPECT_EQ(waiting(), 0u);
    expect_conserved(wire.gate->counts());
}

TEST_F(HttpWaiting, WhatCameBehindItIsNotSentToAServerThatHasClosed) {
    first_.play(client(call("1")));
    for (const Step& last : {server_end(), server("HTTP/1.1 408 Request Timeout\r\n\r\n")}) {
        HttpWire wire(world_, local_facts(40001));
        wire.play(client(call("2") + post(call_json("3", "ok"))));
        wire.play(last);
        EXPECT_EQ(wire.to_server, "");
        EXPECT_EQ(wire.gate->counts().forwarded, 0u);
        expect_conserved(wire.gate->counts());
    }
}

TEST_F(HttpWaiting, AnArrayWaitsAsAWhole) {
    HttpWire wire(world_, local_facts(40001));
    ASSERT_NE(first_.to_server_by(client(call("1"))), "");
    const std::string array = "[" + call_json("2", "ok") + "," + call_json("3", "one") + "]";
    EXPECT_EQ(wire.to_server_by(client(post(array))), "");
    EXPECT_EQ(waiting(), 1u);
    first_.play(server(response(result_json("1"))));
    run();
    EXPECT_EQ(wire.to_server, canonical(array));
    expect_conserved(wire.gate->counts());
}

TEST_F(HttpWaiting, AnArrayThatIsDeniedAnywayDoesNotWait) {
    HttpWire wire(world_, local_facts(40001));
    ASSERT_NE(first_.to_server_by(client(call("1"))), "");
    wire.play(client(post("[" + call_json("2", "bad") + "," + call_json("3", "one") + "]")));
    EXPECT_EQ(waiting(), 0u);
    EXPECT_THAT(wire.to_client, HasSubstr("(default deny)"));
}

}  // namespace
}  // namespace callgate
