// What calls over HTTP are charged, and when it is given back: never at the caller's word.
#include "http_exchange_table.h"

namespace callgate {
namespace {

const std::string kOnce = call_json("1", "once");

// A call of "once" (one a day), what happens to it, and whether the next is let through.
class HttpLimits : public ::testing::Test {
  protected:
    bool next_is_let_through() {
        HttpWire wire(world_, local_facts(41000));
        return !wire.to_server_by(client(post(kOnce))).empty();
    }
    bool is_given_back(const std::vector<Step>& steps, std::string_view call = kOnce) {
        HttpWire wire(world_);
        EXPECT_NE(wire.to_server_by(client(post(call))), "");
        for (const Step& step : steps) wire.play(step);
        expect_conserved(wire.gate->counts());
        wire.gate.reset();
        return next_is_let_through();
    }
    HttpWorld world_;
};

TEST_F(HttpLimits, ResultStaysCharged) { EXPECT_FALSE(is_given_back({server(kDone1)})); }
TEST_F(HttpLimits, ErrorIsGivenBack) { EXPECT_TRUE(is_given_back({server(answer(error_json("1")))})); }
TEST_F(HttpLimits, ToolErrorIsGivenBack) {
    EXPECT_TRUE(is_given_back({server(answer(result_json("1", R"({"isError":true})")))}));
}
TEST_F(HttpLimits, ErrorInEventsIsGivenBack) {
    EXPECT_TRUE(is_given_back({server(kEventsHead + chunk(sse(error_json("1"))) + kLastChunk)}));
}
TEST_F(HttpLimits, ErrorForAnotherIdStaysCharged) { EXPECT_FALSE(is_given_back({server(answer(error_json("2")))})); }
TEST_F(HttpLimits, RefusedInHttpIsGivenBack) { EXPECT_TRUE(is_given_back({server(answer("", "", "406 Not Acceptable"))})); }
TEST_F(HttpLimits, RedirectIsGivenBack) {
    EXPECT_TRUE(is_given_back({server(answer("", "Location: /x\r\n", "307 Temporary Redirect"))}));
}
// It may have been done all the same.
TEST_F(HttpLimits, FailedInHttpStaysCharged) { EXPECT_FALSE(is_given_back({server(answer("", "", "504 Gateway Timeout"))})); }
TEST_F(HttpLimits, NoAnswerStaysCharged) { EXPECT_FALSE(is_given_back({server_end()})); }
TEST_F(HttpLimits, AcceptedWithoutAnAnswerStaysCharged) { EXPECT_FALSE(is_given_back({server(kAccepted)})); }
TEST_F(HttpLimits, MalformedResponseStaysCharged) { EXPECT_FALSE(is_given_back({server("HTTP/1.1 400 Bad Request\n\n")})); }
TEST_F(HttpLimits, ClientThatLeavesStaysCharged) { EXPECT_FALSE(is_given_back({})); }
TEST_F(HttpLimits, ServerThatCannotBeReachedIsGivenBack) { EXPECT_TRUE(is_given_back({server_failed()})); }
TEST_F(HttpLimits, ArrayRefusedInHttpStaysCharged) {
    EXPECT_FALSE(is_given_back({server(answer("", "", "400 Bad Request"))}, "[" + kOnce + "]"));
}
// Two calls with one id: which one failed is not known.
TEST_F(HttpLimits, SharedIdStaysCharged) {
    EXPECT_FALSE(
        is_given_back({server(answer("[" + error_json("1") + "," + result_json("1") + "]"))}, "[" + kOk1 + "," + kOnce + "]"));
}
TEST_F(HttpLimits, CancelledStaysCharged) {
    HttpWire wire(world_);
    wire.play(client(post(kOnce)));
    HttpWire other(world_, local_facts(40001));
    other.play(client(post(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})")));
    other.play(server(kAccepted));
    wire.play(server_end());
    EXPECT_FALSE(next_is_let_through());
}

TEST_F(HttpLimits, OverTheLimitIsDenied) {
    HttpWire wire(world_);
    wire.play(client(post(kOnce)));
    wire.play(server(kDone1));
    const std::string said = wire.to_client_by(client(post(call_json("2", "once"))));
    EXPECT_NE(said.find(R"("code":-31429)"), said.npos) << said;
    EXPECT_NE(said.find(R"("retryAfterMs":)"), said.npos) << said;
}

TEST_F(HttpLimits, DeniedArrayChargesNothing) {
    HttpWire wire(world_);
    EXPECT_EQ(wire.to_server_by(client(post("[" + kOnce + "," + call_json("2", "bad") + "]"))), "");
    EXPECT_TRUE(next_is_let_through());
}

TEST_F(HttpLimits, ArrayOverItsOwnLimitIsDeniedWhole) {
    HttpWire wire(world_);
    EXPECT_EQ(wire.to_server_by(client(post("[" + kOnce + "," + call_json("2", "once") + "]"))), "");
    EXPECT_EQ(wire.gate->counts().denied, 2u);
    EXPECT_TRUE(next_is_let_through());
}

TEST_F(HttpLimits, ArrayWithAMalformedElementIsRefusedWhole) {
    HttpWire wire(world_);
    const std::string said = wire.to_client_by(client(post("[" + kOnce + R"(,{"jsonrpc":"2.0","id":7,"method":1}])")));
    EXPECT_NE(said.find(R"~("rule":"(batch)")~"), said.npos) << said;
    EXPECT_NE(said.find(R"("id":7,"error":{"code":-32600)"), said.npos) << said;
    EXPECT_EQ(wire.to_server, "");
    const FrameCounts counts = wire.gate->counts();
    EXPECT_EQ(counts.denied, 1u);
    EXPECT_EQ(counts.refused, 1u);
    expect_conserved(counts);
    EXPECT_TRUE(next_is_let_through());
}

// The grant's limits hold whatever session a caller says it is in.
TEST_F(HttpLimits, AnotherSessionIsNoWayAroundTheGrantsLimit) {
    HttpWire wire(world_);
    wire.play(client(post(kOnce, "Mcp-Session-Id: a\r\n")));
    wire.play(server(answer(result_json("1"), "Mcp-Session-Id: a\r\n")));
    EXPECT_EQ(wire.to_server_by(client(post(kOnce, "Mcp-Session-Id: b\r\n"))), "");
    EXPECT_EQ(wire.to_server_by(client(post(kOnce))), "");
}

TEST_F(HttpLimits, TooManyInFlight) {
    const auto facts = std::make_shared<const HttpFacts>(local_facts());
    const HttpSessions::Pointer session = world_.sessions->by_peer(facts, world_.policy, {});
    for (size_t i = 0; i < kPendingMax; ++i) session->pending.add("i:" + std::to_string(i), {});
    HttpWire wire(world_);
    const std::string said = wire.to_client_by(client(post(kOk1)));
    EXPECT_NE(said.find("(too many requests in flight)"), said.npos) << said;
}

}  // namespace
}  // namespace callgate
