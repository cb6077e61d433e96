// What HTTP leaves to another agent, wherever it is: the next byte is taken as it would have been.
#include "http_handover.h"

#include "base/clock.h"
#include "http_exchange_table.h"

namespace callgate {
namespace {

const std::string kGet = "GET /mcp HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n";
const std::string kS1 = "Mcp-Session-Id: s1\r\n";
const std::string kInitialize = R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18",)"
                                R"("clientInfo":{"name":"cursor","version":"1"}}})";
const std::string kNamed = answer(result_json("0"), kS1);

std::vector<std::string> without_sessions(const std::vector<std::string>& audit) {
    std::vector<std::string> out;
    for (const std::string& each : audit)
        if (!each.starts_with("session_")) out.push_back(each);
    return out;
}

// A session that all connections name, with a stream that lives for long.
TEST(HttpHandover, StreamOfASessionGoesOnWithinAnEvent) {
    HttpWorld world;
    HttpWire calls(world, local_facts(40001)), stream(world, local_facts(40002));
    calls.play(client(post(kInitialize)));
    calls.play(server(kNamed));
    stream.play(client(kGet + kS1 + "\r\n"));
    stream.play(server(kEventsHead));
    const std::string event = chunk(sse(R"({"jsonrpc":"2.0","method":"notifications/message"})"));
    std::string wanted = stream.to_client;
    for (size_t at = 0; at < event.size(); at += 3) {
        stream.play(server(event.substr(at, 3)));
        hand_over(world, {&calls, &stream});
    }
    EXPECT_EQ(stream.to_client, wanted + event);
    ASSERT_EQ(world.sessions->size(), 1u);
    const HttpSession& session = *world.sessions->sessions().front();
    EXPECT_EQ(session.client_name, "cursor");
    EXPECT_EQ(session.exchanges, 1u);
    EXPECT_EQ(calls.to_client_by(client(post(kBad1, kS1))), answer(kDenied1, kS1));
    calls.gate.reset();
    stream.gate.reset();
    (void)world.audit();
    EXPECT_TRUE(world.sessions_conserved());
}

TEST(HttpHandover, AnswersFindTheirCalls) {
    HttpWorld world;
    HttpWire wire(world);
    wire.play(client(post(kOk1)));
    hand_over(world, {&wire});
    wire.play(server(kDone1));
    EXPECT_EQ(wire.to_client, kDone1);
    wire.gate.reset();
    EXPECT_EQ(without_sessions(world.audit()), (std::vector<std::string>{kOkIn, kOkDone}));
}

// What was charged for a call in hand is neither given back by the hand-over nor charged again.
TEST(HttpHandover, ChargesGoOn) {
    HttpWorld world;
    HttpWire wire(world);
    const std::string once = call_json("1", "once");
    wire.play(client(post(once)));
    hand_over(world, {&wire});
    HttpWire other(world, local_facts(40009));
    other.play(client(post(once)));
    EXPECT_EQ(other.to_server, "");
    wire.play(server(answer(error_json("1"))));  // it failed: given back
    HttpWire third(world, local_facts(40010));
    EXPECT_EQ(third.to_server_by(client(post(once))), canonical(once));
}

TEST(HttpHandover, InFlightGoesOn) {
    const std::string one = R"({"version":"1","default":"deny","tools":{"ok":{"limits":[{"counter":"c","max_in_flight":1}]}}})";
    HttpWorld world(one);
    HttpWire wire(world), other(world, local_facts(40009));
    wire.play(client(post(kOk1)));
    hand_over(world, {&wire, &other});
    other.play(client(post(kOk1)));
    EXPECT_EQ(other.to_server, "");
    wire.play(server(kDone1));
    EXPECT_EQ(other.to_server_by(client(post(kOk1))), canonical(kOk1));
}

// HTTP+SSE: the session is one of the stream, and a denial of a call over another connection comes there.
TEST(HttpHandover, OlderTransportKeepsItsStream) {
    HttpWorld world;
    HttpWire stream(world, local_facts(40001)), wire(world, local_facts(40002));
    stream.play(client("GET /sse HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"));
    stream.play(server(kEventsHead + chunk("event: endpoint\ndata: /message?sessionId=1f\n\n")));
    hand_over(world, {&wire, &stream});
    EXPECT_EQ(stream.to_client_by(client("")), "");
    const size_t before = stream.to_client.size();
    wire.play(client(post(kBad1, "", "/message?sessionId=1f")));
    EXPECT_EQ(stream.to_client.substr(before), chunk(sse(kDenied1)));
    EXPECT_TRUE(world.sessions->stream_paths().takes(local_facts(), "/message"));
    stream.gate.reset();
    EXPECT_EQ(world.sessions->size(), 0u);
}

// The stream that the session lived by has not come.
TEST(HttpHandover, SessionWithoutItsStreamEnds) {
    HttpWorld world;
    HttpWire stream(world, local_facts(40001)), wire(world, local_facts(40002));
    stream.play(client("GET /sse HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"));
    stream.play(server(kEventsHead + chunk("event: endpoint\ndata: /message?sessionId=1f\n\n")));
    (void)stream.gate->leave();
    hand_over(world, {&wire});
    EXPECT_EQ(world.sessions->size(), 0u);
}

TEST(HttpHandover, CallThatWaitsForRoomGoesOnWaiting) {
    HttpWorld world(R"({"version":"1","default":"deny","tools":{"ok":{"limits":[
        {"counter":"c","max_in_flight":1,"on_exceed":"delay","max_delay_ms":60000}]}}})");
    HttpWire first(world), second(world, local_facts(40009));
    first.play(client(post(kOk1)));
    second.play(client(post(kOk1)));
    EXPECT_EQ(second.to_server, "");
    EXPECT_EQ(second.to_client, "");
    hand_over(world, {&first, &second});
    world.counters().waiting().run(monotonic_ns());
    EXPECT_EQ(second.to_server, "");
    first.play(server(kDone1));
    world.counters().waiting().run(monotonic_ns());
    EXPECT_EQ(second.to_server, canonical(kOk1));
    EXPECT_EQ(second.to_client_by(server(kDone1)), kDone1);
}

TEST(HttpHandover, WhatIsNoStateIsRefused) {
    HttpWorld world;
    HttpWire wire(world);
    wire.play(client(post(kOk1)));
    const SavedHttpGate good = wire.gate->leave();
    const auto is_refused = [&](const auto& spoil) {
        SavedHttpGate bad = good;
        bad.exchange->session.clear();
        bad.exchange->waiting_ids.clear();
        spoil(bad);
        HttpWire other(world, local_facts(40001));
        return !other.gate->restore(std::move(bad));
    };
    EXPECT_FALSE(is_refused([](SavedHttpGate&) {}));
    EXPECT_TRUE(is_refused([](SavedHttpGate& bad) { bad.passage = 9; }));
    EXPECT_TRUE(is_refused([](SavedHttpGate& bad) { bad.exchange->request = 9; }));
    EXPECT_TRUE(is_refused([](SavedHttpGate& bad) { bad.exchange->response = 9; }));
    EXPECT_TRUE(is_refused([](SavedHttpGate& bad) { bad.exchange->head = "nonsense"; }));
    EXPECT_TRUE(is_refused([](SavedHttpGate& bad) { bad.exchange->session = "h-none"; }));
    EXPECT_TRUE(is_refused([](SavedHttpGate& bad) { bad.exchange->waiting_ids = {"1"}; }));
    EXPECT_TRUE(is_refused([](SavedHttpGate& bad) { bad.exchange->body.place = 99; }));
    EXPECT_TRUE(is_refused([](SavedHttpGate& bad) { bad.streams_session = true; }));
    EXPECT_TRUE(is_refused([](SavedHttpGate& bad) { bad.sse.mark_bytes = 9; }));
    EXPECT_TRUE(is_refused([](SavedHttpGate& bad) { bad.wait.emplace(); }));
    EXPECT_TRUE(is_refused([](SavedHttpGate& bad) { bad.lines.emplace(); }));
    EXPECT_TRUE(is_refused([](SavedHttpGate& bad) { bad.tunnel_request.place = 99; }));
}

}  // namespace
}  // namespace callgate
