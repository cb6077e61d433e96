// Sessions over many connections: who opens them, who belongs to them, who may end them.
#include "enforce/http_sessions.h"

#include "base/clock.h"
#include "http_exchange_table.h"

namespace callgate {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

const std::string kInitialize =
    R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"cli","version":"1"}}})";
const std::string kNamed = answer(result_json("0"), "Mcp-Session-Id: s1\r\n");
const std::string kS1 = "Mcp-Session-Id: s1\r\n";
const std::string kTwice = call_json("1", "twice");

std::string discover(std::string_view client) {
    return R"({"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":")" +
           std::string(client) + R"(","version":"1"}}}})";
}

class HttpSessionsTest : public ::testing::Test {
  protected:
    void initialize(HttpFacts facts = local_facts()) {
        HttpWire wire(world_, std::move(facts));
        wire.play(client(post(kInitialize)));
        wire.play(server(kNamed));
    }
    // One exchange on a connection of its own.
    std::string exchange(const std::string& sent, const std::string& answered, HttpFacts facts = local_facts()) {
        HttpWire wire(world_, std::move(facts));
        wire.play(client(sent));
        if (!wire.to_server.empty()) wire.play(server(answered));
        return wire.to_client;
    }
    bool is_known(std::string_view header, const HttpFacts& facts = local_facts()) {
        return world_.sessions->find_by_header(facts, header) != nullptr;
    }
    // Session ids of all messages with this tool, as the log has them.
    std::vector<std::string> sessions_of(std::string_view tool) {
        std::vector<std::string> out;
        for (const nlohmann::json& record : world_.records)
            if (record.value("tool", "") == tool && record.value("direction", "") == "c2s") out.push_back(record.at("session"));
        return out;
    }
    HttpWorld world_;
};

TEST_F(HttpSessionsTest, ServerNamesItManyConnectionsUseIt) {
    initialize();
    exchange(post(kOk1, kS1), kDone1, local_facts(40001));
    exchange(post(kBad1, kS1), "", local_facts(40002));
    exchange("DELETE /mcp HTTP/1.1\r\nHost: a\r\n" + kS1 + "\r\n", response(""), local_facts(40003));
    EXPECT_FALSE(is_known("s1"));
    EXPECT_THAT(world_.audit(), ElementsAre("session_start", "c2s request initialize allow", "s2c response initialize pass ok",
                                            kOkIn, kOkDone, kBadIn, "session_end: its client ended it"));
    const nlohmann::json& end = world_.records.back();
    EXPECT_EQ(end["known_by"], "header");
    EXPECT_EQ(end["frames"]["in"], 3);
    EXPECT_EQ(end["frames"]["forwarded"], 2);
    EXPECT_EQ(end["frames"]["denied"], 1);
    EXPECT_TRUE(world_.sessions_conserved());
    EXPECT_EQ(sessions_of("ok"), sessions_of("bad"));
}

TEST_F(HttpSessionsTest, SessionOfOneListenerIsNotThatOfAnother) {
    initialize();
    HttpFacts other = local_facts();
    other.listener = "4026531840 127.0.0.1:3000";
    EXPECT_TRUE(is_known("s1"));
    EXPECT_FALSE(is_known("s1", other));
    initialize(other);
    EXPECT_TRUE(is_known("s1", other));
    EXPECT_EQ(world_.sessions->size(), 2u);
}

TEST_F(HttpSessionsTest, EveryInitializeIsASessionOfItsOwn) {
    initialize();
    HttpWire wire(world_);
    wire.play(client(post(kInitialize)));
    wire.play(server(answer(result_json("0"), "Mcp-Session-Id: s2\r\n")));
    EXPECT_TRUE(is_known("s1"));
    EXPECT_TRUE(is_known("s2"));
    EXPECT_NE(world_.sessions->find_by_header(local_facts(), "s1")->id, world_.sessions->find_by_header(local_facts(), "s2")->id);
}

TEST_F(HttpSessionsTest, NameGivenAgainEndsTheOlderSession) {
    initialize();
    initialize();
    EXPECT_EQ(world_.sessions->size(), 1u);
    EXPECT_THAT(world_.audit(), Contains("session_end: the server gave its name to a new session"));
}

// What no server gave means nothing.
TEST_F(HttpSessionsTest, MadeUpNamesAreOneSession) {
    for (const char* name : {"x1", "x2", "x3"})
        exchange(post(kTwice, "Mcp-Session-Id: " + std::string(name) + "\r\n"), answer(error_json("1"), "", "404 Not Found"));
    EXPECT_EQ(world_.sessions->size(), 1u);
    EXPECT_FALSE(is_known("x1"));
}

TEST_F(HttpSessionsTest, ServerVouchesForANameFromBeforeOurTime) {
    exchange(post(kOk1, "Mcp-Session-Id: old\r\n"), answer(result_json("1"), "Mcp-Session-Id: old\r\n"));
    EXPECT_TRUE(is_known("old"));
    exchange(post(kOk1, "Mcp-Session-Id: x\r\n"), answer(result_json("1"), "Mcp-Session-Id: y\r\n"));
    EXPECT_FALSE(is_known("x"));
    EXPECT_FALSE(is_known("y"));
    exchange(post(kOk1, "Mcp-Session-Id: z\r\n"), answer(error_json("1"), "Mcp-Session-Id: z\r\n", "400 Bad Request"));
    EXPECT_FALSE(is_known("z"));
}

TEST_F(HttpSessionsTest, LimitOfASessionHoldsOverItsConnections) {
    initialize();
    EXPECT_EQ(exchange(post(kTwice, kS1), kDone1, local_facts(40001)), kDone1);
    EXPECT_EQ(exchange(post(kTwice, kS1), kDone1, local_facts(40002)), kDone1);
    EXPECT_NE(exchange(post(kTwice, kS1), kDone1, local_facts(40003)).find("-31429"), std::string::npos);
}

TEST_F(HttpSessionsTest, ServerThatDoesNotKnowItAnyMoreEndsIt) {
    initialize();
    exchange(post(kOk1, kS1), answer("", "", "404 Not Found"));
    EXPECT_FALSE(is_known("s1"));
    EXPECT_THAT(world_.audit(), Contains("session_end: the server does not know it any more"));
}

// A session that ends begins anew with fresh counters: no caller may have that for the asking.
TEST_F(HttpSessionsTest, OnlyTheServersWordOnItsOwnPathEndsIt) {
    initialize();
    exchange("PUT /mcp HTTP/1.1\r\nHost: a\r\n" + kS1 + "\r\n", answer("", "", "404 Not Found"));
    exchange("GET /mcp HTTP/1.1\r\nHost: a\r\n" + kS1 + "\r\n", answer("", "", "404 Not Found"));
    exchange(post(kOk1, kS1, "/elsewhere"), answer("", "", "404 Not Found"));
    exchange("DELETE /elsewhere HTTP/1.1\r\nHost: a\r\n" + kS1 + "\r\n", response(""));
    exchange("DELETE /mcp HTTP/1.1\r\nHost: a\r\n" + kS1 + "\r\n", answer("", "", "405 Method Not Allowed"));
    exchange(post(kOk1, kS1), answer("", "", "400 Bad Request"));
    EXPECT_TRUE(is_known("s1"));
}

TEST_F(HttpSessionsTest, InitializeThatFailsOrIsDeniedOpensNothing) {
    exchange(post(kInitialize), answer("", kS1, "400 Bad Request"));
    EXPECT_FALSE(is_known("s1"));
    exchange(post(kInitialize), "HTTP/1.1 200 OK\n\n");
    {
        HttpWire wire(world_);
        wire.play(client(post(kInitialize)));
    }
    EXPECT_EQ(world_.sessions->size(), 0u);
    EXPECT_THAT(world_.audit(), ElementsAre("session_start", "c2s request initialize allow", "s2c response initialize pass error",
                                            "session_end: its initialize failed", "session_start", "c2s request initialize allow",
                                            "session_end: its initialize had no answer", "session_start",
                                            "c2s request initialize allow", "session_end: its initialize had no answer"));
}

// --- without a name ---------------------------------------------------------------------------------------------------
TEST_F(HttpSessionsTest, WithoutANameItIsThePeers) {
    exchange(post(kOk1), kDone1, local_facts(40001));
    exchange(post(kOk1), kDone1, local_facts(40002));
    EXPECT_EQ(world_.sessions->size(), 1u);
    HttpFacts other = local_facts();
    other.peer.process.exe = "/usr/bin/other";
    exchange(post(kOk1), kDone1, other);
    HttpFacts user = local_facts();
    user.peer.process.uid = 1001;
    exchange(post(kOk1), kDone1, user);
    EXPECT_EQ(world_.sessions->size(), 3u);
}

TEST_F(HttpSessionsTest, RemotePeersAreTheirHosts) {
    for (const char* address :
         {"192.0.2.7:1000", "192.0.2.7:1001", "192.0.2.8:1000", "[2001:db8::7]:1000", "[2001:db8::7]:1001"}) {
        HttpFacts facts = local_facts();
        facts.peer.process.pid = 0;
        facts.peer_address = address;
        exchange(post(kOk1), kDone1, facts);
    }
    EXPECT_EQ(world_.sessions->size(), 3u);
}

TEST_F(HttpSessionsTest, ModernClientsAreKnownByTheirName) {
    exchange(post(discover("a")), kDone1);
    exchange(post(discover("a")), kDone1);
    exchange(post(discover("b")), kDone1);
    EXPECT_EQ(world_.sessions->size(), 2u);
}

TEST_F(HttpSessionsTest, PartsOfAPeersNameDoNotRunIntoEachOther) {
    HttpFacts odd = local_facts();
    odd.peer.process.exe = "/usr/bin/client\na";
    exchange(post(kOk1), kDone1, odd);
    exchange(post(discover("a\\n")), kDone1);
    HttpFacts plain = local_facts();
    plain.peer.process.exe = "/usr/bin/client";
    exchange(post(discover("a\\n")), kDone1, plain);
    EXPECT_EQ(world_.sessions->size(), 2u);
}

TEST_F(HttpSessionsTest, ServerThatGivesNoNameLeavesItToThePeer) {
    exchange(post(kInitialize), answer(result_json("0")));
    exchange(post(kOk1), kDone1);
    EXPECT_EQ(world_.sessions->size(), 1u);
    exchange(post(kInitialize), answer(result_json("0")));
    EXPECT_EQ(world_.sessions->size(), 1u);
    EXPECT_THAT(world_.audit(), Contains("session_end: its client began a new one"));
}

// --- bounds -----------------------------------------------------------------------------------------------------------
TEST_F(HttpSessionsTest, IdleSessionsEnd) {
    initialize();
    HttpWire stream(world_);
    stream.play(client("GET /mcp HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n" + kS1 + "\r\n"));
    stream.play(server(kEventsHead));
    exchange(post(kOk1), kDone1);
    const int64_t later = monotonic_ns() + (kHttpSessionIdleSeconds + 1) * 1'000'000'000;
    world_.sessions->end_idle(monotonic_ns());
    EXPECT_EQ(world_.sessions->size(), 2u);
    world_.sessions->end_idle(later);
    EXPECT_TRUE(is_known("s1"));  // its stream is open
    EXPECT_EQ(world_.sessions->size(), 1u);
    stream.gate.reset();
    world_.sessions->end_idle(later);
    EXPECT_EQ(world_.sessions->size(), 0u);
}

TEST_F(HttpSessionsTest, OneTooManyEndsTheOneUnusedLongest) {
    const auto facts = std::make_shared<const HttpFacts>(local_facts());
    const HttpSessions::Pointer busy = world_.sessions->open(facts, world_.policy, "busy");
    busy->exchanges = 1;
    const HttpSessions::Pointer idle = world_.sessions->open(facts, world_.policy, "idle");
    for (size_t i = 2; i < kHttpSessionsMax; ++i) world_.sessions->open(facts, world_.policy, {});
    EXPECT_FALSE(idle->ended);
    world_.sessions->open(facts, world_.policy, {});
    EXPECT_TRUE(idle->ended);
    EXPECT_FALSE(busy->ended);
    EXPECT_EQ(world_.sessions->size(), kHttpSessionsMax);
}

// What is in hand when its session is given up goes on.
TEST_F(HttpSessionsTest, ExchangeOutlivesItsSession) {
    initialize();
    HttpWire wire(world_);
    wire.play(client(post(kOk1, kS1)));
    world_.sessions->end(world_.sessions->find_by_header(local_facts(), "s1"), "test");
    wire.play(server(kDone1));
    EXPECT_EQ(wire.to_client, kDone1);
    wire.play(client(post(kBad1, kS1)));
    EXPECT_EQ(wire.to_client, kDone1 + answer(kDenied1, kS1));
    expect_conserved(wire.gate->counts());
}

}  // namespace
}  // namespace callgate
