// HTTP+SSE (revision 2024-11-05): requests come over one connection, their answers over another, the stream. And streams
// of Streamable HTTP that one connection resumes for another.
#include "http_exchange_table.h"

namespace callgate {
namespace {

const std::string kGetSse = "GET /sse HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n";
const std::string kGetSseOut = "GET /sse HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\naccept-encoding: identity\r\n\r\n";
const std::string kEndpoint = "event: endpoint\ndata: /message?sessionId=1f\n\n";
const std::string kTarget = "/message?sessionId=1f";
const std::string kWasAccepted = "HTTP/1.1 202 Accepted\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\nAccepted";
const char* const kPathPolicy =
    R"({"version":"1","server":{"listen":"127.0.0.1:3000","path":"/sse"},"default":"deny","hide":["secret"],
    "tools":{"ok":{},"bad":{"action":"deny","reason":"No."}}})";

// A stream that is open.
class Stream : public HttpWire {
  public:
    explicit Stream(HttpWorld& world, size_t piece = 0, std::string_view endpoint = kEndpoint)
        : HttpWire(world, local_facts(40001)) {
        gate->on_output = [this] { ++outputs; };
        play(client(kGetSse), piece);
        EXPECT_EQ(to_server, kGetSseOut);
        play(server(kEventsHead + chunk(endpoint)), piece);
        EXPECT_EQ(to_client, kEventsHead + chunk(endpoint));
        to_client.clear();
    }
    int outputs = 0;
};

TEST(HttpStreams, DenialComesOnTheStream) {
    for (const size_t piece : {size_t{0}, size_t{1}, size_t{7}}) {
        HttpWorld world;
        Stream stream(world, piece);
        HttpWire wire(world, local_facts(40002));
        wire.play(client(post(kBad1, "", kTarget)), piece);
        EXPECT_EQ(wire.to_server, "");
        EXPECT_EQ(wire.to_client, kWasAccepted);
        EXPECT_EQ(stream.to_client, chunk(sse(kDenied1)));
        EXPECT_EQ(stream.outputs, 1);
        EXPECT_EQ(wire.gate->counts().denied, 1u);
        expect_conserved(wire.gate->counts());
        wire.gate.reset();
        stream.gate.reset();
        EXPECT_THAT(world.audit(), ::testing::ElementsAre("session_start", kBadIn, "session_end: its stream ended"));
        EXPECT_TRUE(world.sessions_conserved());
        EXPECT_EQ(world.records.back()["frames"]["denied"], 1);
        EXPECT_EQ(world.records.back()["known_by"], "stream");
    }
}

// There is no way to the server but the client's: it is asked for a method that no client has.
TEST(HttpStreams, WhatAServerMayNotAskIsReplaced) {
    for (const size_t piece : {size_t{0}, size_t{1}, size_t{7}}) {
        HttpWorld world(R"({"version":"1","default":"allow","methods":{"sampling/*":{"action":"deny"}}})");
        Stream stream(world, piece);
        const std::string sampling = R"({"jsonrpc":"2.0","id":5,"method":"sampling/createMessage","params":{}})";
        const std::string roots = R"({"jsonrpc":"2.0","id":6,"method":"roots/list"})";
        stream.play(server(chunk(sse(sampling) + sse(roots))), piece);
        EXPECT_EQ(stream.to_client.find("sampling"), std::string::npos) << stream.to_client;
        EXPECT_NE(stream.to_client.find(R"({"jsonrpc":"2.0","id":5,"method":"callgate/denied"})"), std::string::npos);
        EXPECT_NE(stream.to_client.find(roots), std::string::npos);
        EXPECT_EQ(stream.gate->counts().server_denied, 1u);
        EXPECT_EQ(stream.gate->counts().server_forwarded, 1u);
        expect_conserved(stream.gate->counts());
        stream.gate.reset();
        EXPECT_THAT(world.audit(), ::testing::Contains("s2c request sampling/createMessage deny /methods/sampling~1*/action"));
        EXPECT_TRUE(world.sessions_conserved());
    }
}

TEST(HttpStreams, AnswerOfTheServerIsMatchedOnTheStream) {
    HttpWorld world;
    Stream stream(world);
    HttpWire wire(world, local_facts(40002));
    wire.play(client(post(kOk1, "", kTarget)));
    EXPECT_EQ(wire.to_server, canonical(kOk1, "", kTarget));
    wire.play(server(kWasAccepted));
    EXPECT_EQ(wire.to_client, kWasAccepted);
    wire.gate.reset();
    const std::string event = chunk(sse(result_json("1")));
    EXPECT_EQ(stream.to_client_by(server(event)), event);
    stream.gate.reset();
    EXPECT_THAT(world.audit(), ::testing::ElementsAre("session_start", kOkIn, kOkDone, "session_end: its stream ended"));
}

// Half an event of the server is not passed before the rest has come: ours goes before it.
TEST(HttpStreams, DenialNeverSplitsAnEvent) {
    HttpWorld world;
    Stream stream(world);
    HttpWire wire(world, local_facts(40002));
    stream.play(server(chunk("event: message\nda")));
    EXPECT_EQ(stream.to_client, "");
    wire.play(client(post(kBad1, "", kTarget)));
    EXPECT_EQ(stream.to_client, chunk(sse(kDenied1)));
    const std::string rest = chunk("ta: {}\n\n");
    EXPECT_EQ(stream.to_client_by(server(rest)), chunk("event: message\ndata: {}\n\n"));
}

TEST(HttpStreams, DenialWaitsForTheEndOfAnEventThatIsTooLong) {
    HttpWorld world(R"({"version":"1","default":"deny"})");
    HttpWire stream(world, local_facts(40001), 100);
    stream.play(client(kGetSse));
    stream.play(server(kEventsHead + chunk(kEndpoint)));
    const std::string start = "data: " + std::string(200, 'x');
    EXPECT_EQ(stream.to_client_by(server(chunk(start))), chunk(start));
    HttpWire wire(world, local_facts(40002));
    const size_t before = stream.to_client.size();
    wire.play(client(post(kBad1, "", kTarget)));
    EXPECT_EQ(wire.to_client, kWasAccepted);
    EXPECT_EQ(stream.to_client.size(), before);
    stream.play(server(chunk("xx\n\n")));
    const std::string added = stream.to_client.substr(before);
    EXPECT_TRUE(added.starts_with(chunk("xx\n\n"))) << added;
    EXPECT_NE(added.find("[POLICY DENIED]"), added.npos) << added;
}

TEST(HttpStreams, DenialOfAnEventThatIsCutOffStillComes) {
    HttpWorld world(R"({"version":"1","default":"deny"})");
    HttpWire stream(world, local_facts(40001), 100);
    stream.play(client(kGetSse));
    stream.play(server(kEventsHead + chunk(kEndpoint) + chunk("data: " + std::string(200, 'x'))));
    HttpWire wire(world, local_facts(40002));
    wire.play(client(post(kBad1, "", kTarget)));
    const std::string added = stream.to_client_by(server(kLastChunk));
    EXPECT_TRUE(added.starts_with(chunk("\n\n"))) << added;
    EXPECT_NE(added.find("[POLICY DENIED]"), added.npos) << added;
    EXPECT_TRUE(added.ends_with(kLastChunk)) << added;
}

TEST(HttpStreams, StreamWhoseClientDoesNotReadTakesNoMore) {
    HttpWorld world;
    Stream stream(world);
    HttpWire wire(world, local_facts(40002));
    stream.to_client.assign(kHttpStreamBytesMax, 'x');
    wire.play(client(post(kBad1, "", kTarget)));
    EXPECT_EQ(wire.to_client, answer(kDenied1));
    EXPECT_EQ(stream.to_client.size(), kHttpStreamBytesMax);
}

TEST(HttpStreams, WithoutItsStreamWhoAsksIsAnswered) {
    HttpWorld world;
    { Stream stream(world); }
    HttpWire wire(world);
    wire.play(client(post(kBad1, "", kTarget)));
    EXPECT_EQ(wire.to_client, answer(kDenied1));
}

TEST(HttpStreams, MalformedMessageIsAnsweredOnTheStream) {
    HttpWorld world;
    Stream stream(world);
    HttpWire wire(world, local_facts(40002));
    wire.play(client(post(R"({"jsonrpc":"2.0","id":4,"method":"ping","method":"tools/call"})", "", kTarget)));
    EXPECT_EQ(wire.to_client, kWasAccepted);
    EXPECT_NE(stream.to_client.find(R"("id":4,"error":{"code":-32600)"), std::string::npos) << stream.to_client;
}

TEST(HttpStreams, ListOnTheStreamIsFiltered) {
    for (const size_t piece : {size_t{0}, size_t{1}, size_t{3}, size_t{7}}) {
        HttpWorld world;
        Stream stream(world, piece);
        HttpWire wire(world, local_facts(40002));
        wire.play(client(post(kList1, "", kTarget)));
        wire.play(server(kWasAccepted));
        stream.play(server(chunk("event: message\nid: 3\ndata: " + kUnfiltered1 + "\n\n")), piece);
        EXPECT_EQ(stream.to_client, chunk("event: message\nid: 3\ndata: " + kFiltered1 + "\n\n"));
    }
}

// --- a policy for one path: where messages go is what the stream on it says -------------------------------------------
TEST(HttpStreams, PathOfTheMessagesIsGovernedToo) {
    for (const std::string target :
         {"/message?sessionId=1f", "/message?sessionId=2f", "/message", "/Message?x", "//message?sessionId=1f",
          "/%6dessage?sessionId=1f", "/x/../message", "//evil/message?sessionId=1f"}) {
        HttpWorld world(kPathPolicy);
        Stream stream(world);
        HttpWire wire(world, local_facts(40002));
        wire.play(client(post(kBad1, "", target)));
        EXPECT_EQ(wire.to_server, "") << target;
        EXPECT_EQ(wire.gate->counts().denied, 1u) << target;
    }
}

TEST(HttpStreams, OtherPathsStayUngoverned) {
    HttpWorld world(kPathPolicy);
    Stream stream(world);
    HttpWire wire(world, local_facts(40002));
    wire.play(client(post(kBad1, "", "/other")));
    EXPECT_EQ(wire.to_server, post(kBad1, "", "/other"));
    HttpFacts elsewhere = local_facts(40003);
    elsewhere.listener = "4026531840 127.0.0.1:3000";
    elsewhere.server.process.pid = 11;
    HttpWire other(world, elsewhere);
    other.play(client(post(kBad1, "", kTarget)));
    EXPECT_EQ(other.to_server, post(kBad1, "", kTarget));
}

// Its streams are not those of an address: it knows them at each that it listens at.
TEST(HttpStreams, MessagesAtAnotherAddressOfTheServerAreGoverned) {
    HttpWorld world(kPathPolicy);
    Stream stream(world);
    HttpFacts facts = local_facts(40003);
    facts.listen = "[::1]:3000";
    HttpWire wire(world, facts);
    wire.play(client(post(kBad1, "", kTarget)));
    EXPECT_EQ(wire.to_server, "");
    EXPECT_EQ(wire.to_client, answer(kDenied1));
}

// A server that mounts it answers there too.
TEST(HttpStreams, MessagesBelowTheEndpointAreGoverned) {
    HttpWorld world(kPathPolicy);
    Stream stream(world);
    for (const std::string target : {"/message/x?sessionId=1f", "/message/x/y", "/message%2fx", "/x/../message/%0a"}) {
        HttpWire wire(world, local_facts(40002));
        wire.play(client(post(kBad1, "", target)));
        EXPECT_EQ(wire.to_server, "") << target;
        EXPECT_EQ(wire.to_client, answer(kDenied1)) << target;
    }
    for (const std::string target : {"/messages", "/x/message", "/"}) {
        HttpWire wire(world, local_facts(40002));
        wire.play(client(post(kBad1, "", target)));
        EXPECT_EQ(wire.to_server, post(kBad1, "", target)) << target;
    }
}

// Of what the client puts into its request there the server may know nothing.
TEST(HttpStreams, MessagesOfAnyStreamAreGoverned) {
    const std::string head = "GET /sse HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n";
    const std::string note = R"({"jsonrpc":"2.0","method":"notifications/initialized"})";
    const std::string body =
        "Content-Type: application/json\r\nContent-Length: " + std::to_string(note.size()) + "\r\n\r\n" + note;
    for (const std::string& request :
         {head + "Mcp-Session-Id: x\r\n\r\n", head + body, "POST /sse HTTP/1.1\r\nHost: a\r\n" + body}) {
        HttpWorld world(kPathPolicy);
        HttpWire stream(world);
        stream.play(client(request));
        EXPECT_NE(stream.to_server, "");
        stream.play(server(kEventsHead + chunk(kEndpoint)));
        EXPECT_EQ(stream.to_client, kEventsHead + chunk(kEndpoint));
        HttpWire wire(world, local_facts(40002));
        wire.play(client(post(kBad1, "", kTarget)));
        EXPECT_EQ(wire.to_server, "") << request;
        EXPECT_EQ(wire.to_client, answer(kDenied1)) << request;
    }
}

// The server hears of the stream's end after us.
TEST(HttpStreams, PathOfTheMessagesOutlivesTheStream) {
    HttpWorld world(kPathPolicy);
    { Stream stream(world); }
    HttpWire wire(world);
    wire.play(client(post(kBad1, "", kTarget)));
    EXPECT_EQ(wire.to_client, answer(kDenied1));
}

TEST(HttpStreams, PathsThatNobodyStreamsAtAreForgottenInTheirTurn) {
    HttpWorld world(kPathPolicy);
    Stream open(world, 0, "event: endpoint\ndata: /open\n\n");
    for (size_t i = 0; i < kHttpStreamPathsMax; ++i)
        Stream stream(world, 0, "event: endpoint\ndata: /m" + std::to_string(i) + "\n\n");
    const auto governs = [&](const std::string& path) { return world.sessions->stream_paths().takes(local_facts(), path); };
    EXPECT_TRUE(governs("/open"));
    EXPECT_FALSE(governs("/m0"));
    EXPECT_TRUE(governs("/m1"));
    EXPECT_TRUE(governs("/m1023"));
}

// However a client asks for the stream, it must be readable.
TEST(HttpStreams, StreamOnAGovernedPathIsAskedForUncompressed) {
    HttpWorld world(kPathPolicy);
    HttpWire wire(world);
    wire.play(client("GET /sse HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n"));
    EXPECT_EQ(wire.to_server, "GET /sse HTTP/1.1\r\nHost: a\r\nAccept: */*\r\naccept-encoding: identity\r\n\r\n");
    wire.play(server("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b"));
    EXPECT_EQ(wire.to_client, bad_gateway("it is compressed"));
}

TEST(HttpStreams, EvictedSessionTakesItsStreamWithIt) {
    HttpWorld world(kPathPolicy);
    auto oldest = std::make_unique<Stream>(world);
    std::vector<std::unique_ptr<HttpSession>> others;
    const auto facts = std::make_shared<const HttpFacts>(local_facts());
    for (size_t i = 1; i < kHttpSessionsMax; ++i) world.sessions->open(facts, world.policy, {})->exchanges = 1;
    EXPECT_FALSE(oldest->gate->close_client());
    world.sessions->open(facts, world.policy, {});
    EXPECT_TRUE(oldest->gate->close_client());
    EXPECT_EQ(oldest->outputs, 1);
    EXPECT_EQ(world.sessions->size(), kHttpSessionsMax);
}

// --- Streamable HTTP: a stream that is resumed ------------------------------------------------------------------------
TEST(HttpStreams, ResumedStreamAnswersWhatAnotherConnectionAsked) {
    HttpWorld world;
    HttpWire first(world, local_facts(40001));
    first.play(client(post(
        R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}})")));
    first.play(server(response(result_json("0"), "Mcp-Session-Id: s1\r\n")));
    first.play(client(post(kOk1, "Mcp-Session-Id: s1\r\n")));
    first.play(server(kEventsHead + chunk("id: 5\ndata: \n\n")));
    first.play(server_end());
    first.gate.reset();
    HttpWire second(world, local_facts(40002));
    second.play(
        client("GET /mcp HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nMcp-Session-Id: s1\r\nLast-Event-ID: 5\r\n\r\n"));
    second.play(server(kEventsHead + chunk(sse(result_json("1")))));
    second.gate.reset();
    const std::vector<std::string> said = world.audit();
    EXPECT_THAT(said, ::testing::Contains(kOkDone));
}

}  // namespace
}  // namespace callgate
