// Both directions of a session, with a real policy, counter table and audit log. Every test ends with I3.
#include "enforce/gate.h"

#include <gmock/gmock.h>

#include "../../thread_time.h"
#include "gate_fixture.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kPolicy[] = R"({"version":"1","default":"deny","hide":["secret"],"tools":{
    "ok":{},"bad":{"action":"deny","reason":"No."},
    "once":{"limits":[{"counter":"c","window":"day","max":1}]}}})";

std::string text(const Outbox& outbox) { return std::string(outbox.first()) + std::string(outbox.second()); }

class GateTest : public ::testing::Test {
  protected:
    void use(GateOptions options) {
        gate_ = std::make_unique<Gate>(std::move(options), world_.counters, *world_.log, to_server_, to_client_);
    }
    void use(std::string_view policy = kPolicy, Opening::Start start = Opening::Start::decided) {
        use(world_.options(policy, start));
    }
    void TearDown() override {
        if (!gate_) return;
        const FrameCounts& counts = gate_->counts();
        EXPECT_TRUE(counts.conserved()) << counts.in << " = " << counts.forwarded << " + " << counts.denied << " + "
                                        << counts.refused << " + " << counts.held;
    }
    // What reaches the server, resp. the client, through these bytes.
    std::string client(std::string_view bytes) {
        to_server_.clear();
        gate_->client_bytes(bytes);
        return text(to_server_);
    }
    std::string server(std::string_view bytes) {
        to_client_.clear();
        gate_->server_bytes(bytes);
        return text(to_client_);
    }
    std::string answer(std::string_view bytes) {
        to_client_.clear();
        gate_->client_bytes(bytes);
        return text(to_client_);
    }
    bool may_call_once(std::string_view id) { return !client(call_line(id, "once")).empty(); }

    GateWorld world_;
    Outbox to_server_, to_client_;
    std::unique_ptr<Gate> gate_;
};

TEST_F(GateTest, ForwardsByteForByte) {
    use();
    const std::string odd = " {\"jsonrpc\" : \"2.0\",\t\"id\":1e0,\"x\":1 }\r\n";
    const std::string line =
        "{ \"id\" : \"\\u0061\" , \"method\":\"tools/call\", \"jsonrpc\":\"2.0\",\"params\":{\"name\":\"o\\u006b\"} }\r\n";
    EXPECT_EQ(client(line), line);
    EXPECT_EQ(client(line.substr(0, 9)), "");
    EXPECT_EQ(client(line.substr(9)), line);
    EXPECT_EQ(gate_->counts().forwarded, 2u);
    const std::string large = call_line("2", "ok\",\"_\":\"" + std::string(3 * kReadBytes, 'x'));
    EXPECT_EQ(client(large), large);
    EXPECT_EQ(client(odd), "");
}

TEST_F(GateTest, DenialHasTheClientsIdBytes) {
    use();
    for (const char* id : {"7", "\"a\\u0062\"", "-1", "\"\""}) {
        to_server_.clear();
        std::string line = answer(call_line(id, "bad"));
        EXPECT_THAT(line, StartsWith(R"({"jsonrpc":"2.0","id":)" + std::string(id) + R"(,"result":)"));
        EXPECT_THAT(line, HasSubstr("[POLICY DENIED] No."));
        EXPECT_THAT(line, HasSubstr(R"("isError":true)"));
        EXPECT_EQ(text(to_server_), "");
    }
    EXPECT_EQ(gate_->counts().denied, 4u);
    EXPECT_THAT(answer(call_line("1", "unknown")), HasSubstr("(default deny)"));
    EXPECT_THAT(answer(R"({"jsonrpc":"2.0","id":5,"method":"tools/new"})"
                       "\n"),
                HasSubstr(R"("code":-31403)"));
}

TEST_F(GateTest, DeniedAsErrorWherePolicySaysSo) {
    use(R"({"version":"1","default":"deny","deny_as":"error"})");
    EXPECT_THAT(answer(call_line("1", "x")), HasSubstr(R"("error":{"code":-31403)"));
}

TEST_F(GateTest, ModernSessionsGetAResultType) {
    use();
    EXPECT_THAT(answer(call_line("1", "bad")), Not(HasSubstr("resultType")));
    const std::string modern =
        R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"bad","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}})"
        "\n";
    EXPECT_THAT(answer(modern), HasSubstr(R"("resultType":"complete")"));
}

TEST_F(GateTest, DenialWaitsForTheEndOfAServersLine) {
    use();
    EXPECT_EQ(server("Loading "), "Loading ");
    EXPECT_EQ(answer(call_line("1", "bad")), "");
    std::string out = server("done\nnext");
    EXPECT_THAT(out, StartsWith("done\n{\"jsonrpc\":\"2.0\",\"id\":1,"));
    EXPECT_THAT(out, ::testing::EndsWith("\nnext"));
}

TEST_F(GateTest, WaitingDenialIsSentAtTheServersEnd) {
    use();
    server("half");
    answer(call_line("1", "bad"));
    to_client_.clear();
    gate_->server_end();
    EXPECT_THAT(text(to_client_), HasSubstr("\"id\":1,"));
}

TEST_F(GateTest, BlankLinesAreDroppedAndCounted) {
    use();
    EXPECT_EQ(client("\n\r\n  \n"), "");
    EXPECT_EQ(gate_->counts().blank, 3u);
    EXPECT_EQ(gate_->counts().in, 0u);
}

TEST_F(GateTest, RefusalsAndTheirAnswers) {
    use();
    to_client_.clear();
    EXPECT_THAT(answer("{broken\n"), "");
    EXPECT_THAT(answer(R"({"jsonrpc":"2.0","id":9,"method":"ping","Method":"tools/call"})"
                       "\n"),
                HasSubstr(R"("id":9,"error":{"code":-32600)"));
    EXPECT_EQ(answer(R"({"jsonrpc":"2.0","id":9,"id":10,"method":"ping"})"
                     "\n"),
              "");
    EXPECT_EQ(answer("[" + call_line("1", "ok").substr(0, 60) + "]\n"), "");
    EXPECT_EQ(text(to_server_), "");
    EXPECT_EQ(gate_->counts().refused, 4u);
}

TEST_F(GateTest, DeniedNotificationsGetNoAnswer) {
    use();
    const std::string line = R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"bad"}})"
                             "\n";
    EXPECT_EQ(answer(line), "");
    EXPECT_EQ(text(to_server_), "");
    EXPECT_EQ(gate_->counts().denied, 1u);
}

TEST_F(GateTest, HiddenToolsAreCutFromTheList) {
    use();
    client(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})"
           "\n");
    EXPECT_EQ(server(result_line("1", R"({"tools":[{"name":"ok"}, {"name":"secret"}]})")),
              result_line("1", R"({"tools":[{"name":"ok"}]})"));
    EXPECT_EQ(gate_->counts().lists_filtered, 1u);
    // asked before the take-over
    EXPECT_THAT(server(result_line("77", R"({"tools":[{"name":"secret"}]})")), Not(HasSubstr("secret")));
    // in pieces
    client(R"({"jsonrpc":"2.0","id":2,"method":"tools/list"})"
           "\n");
    const std::string line = result_line("2", R"({"tools":[{"name":"secret"},{"name":"ok"}]})");
    EXPECT_EQ(server(line.substr(0, 50)), "");
    EXPECT_THAT(server(line.substr(50)), Not(HasSubstr("secret")));
    EXPECT_THAT(answer(call_line("3", "secret")), HasSubstr("(hidden)"));
}

// Which of them an answer is for cannot be known: the list may come first, or last.
TEST_F(GateTest, HiddenToolsAreCutFromTheListOfAnIdThatIsUsedTwice) {
    const std::string list = R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})"
                             "\n";
    const std::string listed = result_line("1", R"({"tools":[{"name":"ok"}, {"name":"secret"}]})");
    for (const bool list_is_older : {false, true})
        for (const bool list_is_first : {false, true}) {
            use();
            client(list_is_older ? list + call_line("1", "ok") : call_line("1", "ok") + list);
            const std::string seen = server(list_is_first ? listed + result_line("1") : result_line("1") + listed);
            EXPECT_THAT(seen, Not(HasSubstr("secret"))) << list_is_older << list_is_first;
            EXPECT_THAT(seen, HasSubstr("ok"));
        }
}

TEST_F(GateTest, FailedCallsDoNotCount) {
    use();
    ASSERT_TRUE(may_call_once("1"));
    EXPECT_FALSE(may_call_once("2"));
    server(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"x"}})"
           "\n");
    ASSERT_TRUE(may_call_once("3"));
    server(result_line("3", R"({"content":[],"isError":true})"));
    ASSERT_TRUE(may_call_once("4"));
    server(result_line("4"));
    EXPECT_FALSE(may_call_once("5"));
}

TEST_F(GateTest, ACallerCannotTakeACallBack) {
    use();
    ASSERT_TRUE(may_call_once("1"));
    client(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})"
           "\n");
    EXPECT_FALSE(may_call_once("2"));
    EXPECT_EQ(gate_->pending_requests(), 1u);
    server(result_line("1"));
    EXPECT_FALSE(may_call_once("3"));
}

TEST_F(GateTest, AnErrorGivesNothingBackWhereItMayMeanAnotherCall) {
    use();
    ASSERT_TRUE(may_call_once("1"));
    client(R"({"jsonrpc":"2.0","id":1,"method":"no/such"})"
           "\n");  // the same id, to fail on purpose
    server(R"({"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x"}})"
           "\n");
    EXPECT_FALSE(may_call_once("2"));
    server(result_line("1"));
    EXPECT_FALSE(may_call_once("3"));
}

TEST_F(GateTest, OverTheLimitSaysWhenToRetry) {
    use();
    ASSERT_TRUE(may_call_once("1"));
    EXPECT_THAT(answer(call_line("2", "once")), HasSubstr("retryAfterMs"));
    EXPECT_THAT(answer(call_line("2", "once")), HasSubstr("-31429"));
}

TEST_F(GateTest, ShadowForwardsWhatItWouldDeny) {
    use(R"({"version":"1","mode":"shadow","default":"deny","hide":["secret"]})");
    EXPECT_EQ(client(call_line("1", "bad")), call_line("1", "bad"));
    EXPECT_EQ(client("{broken\n"), "{broken\n");
    const std::string list = result_line("9", R"({"tools":[{"name":"secret"}]})");
    EXPECT_EQ(server(list), list);
    EXPECT_EQ(gate_->counts().denied + gate_->counts().refused, 0u);
    EXPECT_EQ(text(to_client_), list);
    EXPECT_TRUE(gate_->counts().conserved());
    gate_.reset();
    EXPECT_THAT(world_.audit_text(), HasSubstr(R"("would_deny")"));
}

TEST_F(GateTest, ObserveForwardsEverything) {
    use(R"({"version":"1","mode":"observe","default":"deny"})");
    EXPECT_EQ(client(call_line("1", "bad")), call_line("1", "bad"));
    EXPECT_TRUE(gate_->counts().conserved());
    gate_.reset();
    EXPECT_THAT(world_.audit_text(), Not(HasSubstr("would_deny")));
}

TEST_F(GateTest, OversizeFrameIsRefusedAndSkipped) {
    GateOptions options = world_.options(kPolicy);
    options.frame_bytes_max = 200;
    use(std::move(options));
    const std::string large = call_line("1", "ok\",\"_\":\"" + std::string(500, 'x'));
    EXPECT_EQ(client(large + call_line("2", "ok")), call_line("2", "ok"));
    EXPECT_EQ(gate_->counts().refused, 1u);
    EXPECT_EQ(gate_->counts().in, 2u);
}

TEST_F(GateTest, UnterminatedLastLineIsJudged) {
    use();
    std::string allowed = call_line("1", "ok"), denied = call_line("2", "bad");
    allowed.pop_back();
    denied.pop_back();
    EXPECT_EQ(client(allowed), "");
    EXPECT_TRUE(gate_->client_line_open());
    gate_->client_end();
    EXPECT_EQ(text(to_server_), allowed);
    EXPECT_EQ(client(denied), "");
    gate_->client_end();
    EXPECT_EQ(text(to_server_), "");
    EXPECT_THAT(text(to_client_), HasSubstr("POLICY DENIED"));
}

TEST_F(GateTest, UnterminatedCallAfterAClaimIsJudged) {
    use(kPolicy, Opening::Start::fresh);
    const std::string claim = R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":1}})"
                              "\n";
    std::string denied = call_line("2", "bad");
    denied.pop_back();
    EXPECT_EQ(client(claim + denied), claim);
    to_server_.clear();
    gate_->client_end();
    EXPECT_EQ(text(to_server_), "");
    EXPECT_THAT(text(to_client_), HasSubstr("POLICY DENIED"));
}

TEST_F(GateTest, DuplicateIdsInFlight) {
    use();
    client(call_line("1", "ok") + call_line("1", "ok"));
    EXPECT_EQ(gate_->pending_requests(), 2u);
    server(result_line("1") + result_line("1"));
}

TEST_F(GateTest, LateAnswerToAnUnknownIdPasses) {
    use();
    EXPECT_EQ(server(result_line("99")), result_line("99"));
    EXPECT_EQ(server("plain text\n"), "plain text\n");
    EXPECT_EQ(gate_->counts().server_in, 1u);
}

TEST_F(GateTest, ForeignStreamPassesAndAsksForRelease) {
    use(kPolicy, Opening::Start::fresh);
    const std::string acp = R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":1}})"
                            "\n";
    EXPECT_EQ(client(acp), acp);
    EXPECT_FALSE(gate_->wants_release());
    const std::string confirmed = R"({"jsonrpc":"2.0","id":0,"result":{"protocolVersion":1}})"
                                  "\n";
    EXPECT_EQ(server(confirmed.substr(0, 20)), confirmed.substr(0, 20));
    EXPECT_EQ(server(confirmed.substr(20)), confirmed.substr(20));
    EXPECT_TRUE(gate_->wants_release());
    EXPECT_EQ(gate_->counts().foreign_bytes, acp.size());
}

// Servers take such a message before any handshake.
TEST_F(GateTest, WhatThePolicySaysOfAMethodHoldsFromTheFirstMessageOn) {
    constexpr char kMethods[] = R"({"version":"1","default":"allow","hide":["delete"],"tools":{},
        "methods":{"acme/exec":{"action":"deny"},"initialize":{"action":"deny"}},"call_methods":{"acme/run":"params.tool"}})";
    const std::string other = R"({"jsonrpc":"2.0","id":9,"method":"x/y"})"
                              "\n";
    const std::string header = "Content-Length: 2\r\n\r\n{}\n";
    for (const bool certain : {true, false})
        for (const std::string& before : {std::string(), other, header})
            for (const std::string line :
                 {R"({"jsonrpc":"2.0","id":1,"method":"acme/run","params":{"tool":"delete"}})",
                  R"({"id":1,"method":"acme/run","params":{"tool":"delete"}})",
                  R"({"jsonrpc":"2.0","id":1,"method":"acme/run","params":["delete"]})",
                  R"({"jsonrpc":"2.0","id":1,"method":"acme/exec"})", R"({"jsonrpc":"2.0","id":1,"method":"Tools/call"})",
                  R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1}})"}) {
                GateOptions options = world_.options(kMethods, Opening::Start::fresh);
                options.certain = certain;
                use(std::move(options));
                const std::string passed = client(before + line + "\n");
                EXPECT_EQ(passed, before.substr(0, passed.size())) << before << line << certain;
                EXPECT_EQ(gate_->counts().denied + (gate_->counts().refused > 0), 1u) << before << line << certain;
            }
}

// Of such a server no answer to another method than MCP's tells that it is none of MCP.
TEST_F(GateTest, NoAnswerToAnotherMethodHandsBackAServerThatHasMethodsOfItsOwn) {
    const std::string other = R"({"jsonrpc":"2.0","id":1,"method":"x/y"})"
                              "\n";
    for (const auto& [methods, is_released] : {std::pair{R"("methods":{"acme/exec":{"action":"deny"}})", false},
                                               {R"("methods":{"acme/*":{"action":"deny"}})", false},
                                               {R"("call_methods":{"acme/run":"params.tool"})", false},
                                               {R"("methods":{"ping":{"action":"deny"}})", true}}) {
        use(R"({"version":"1","default":"deny","tools":{},)" + std::string(methods) + "}", Opening::Start::fresh);
        EXPECT_EQ(client(other), other);
        server(result_line("1"));
        EXPECT_EQ(gate_->wants_release(), is_released) << methods;
    }
}

// A server takes a thread's time that all sessions share: each byte of a line that has not ended costs the same.
TEST_F(GateTest, BlanksOfAServerCostWhatTheyAreLong) {
    use();
    const std::string blanks(kReadBytes, ' ');
    const auto whole = thread_time([&] {
        for (size_t bytes = 0; bytes < size_t{4} << 20; bytes += kReadBytes) gate_->server_bytes(blanks);
    });
    const auto single = thread_time([&] {
        for (int i = 0; i < 300; ++i) gate_->server_bytes(" ");
    });
    EXPECT_LT(single, whole);
    EXPECT_EQ(text(to_client_), "");
}

TEST_F(GateTest, HandBackPassesWhatWasHeld) {
    use();
    EXPECT_EQ(client("{\"half"), "");
    EXPECT_EQ(server("{\"other"), "");
    gate_->flush_unjudged();
    EXPECT_EQ(text(to_server_), "{\"half");
    EXPECT_EQ(text(to_client_), "{\"other");
}

TEST_F(GateTest, ConditionsAskForTheClientAndItsProcess) {
    GateOptions options = world_.options(R"({"version":"1","default":"deny","tools":{
        "a":{"require":[{"conditions":[{"path":"client.name","op":"eq","value":"good"},{"path":"peer.uid","op":"eq","value":7}]}]}}})");
    options.peer.process.pid = 1;
    options.peer.process.uid = 7;
    use(std::move(options));
    const std::string call = call_line("1", "a");
    EXPECT_EQ(client(call), "");
    const auto initialize = [](const std::string& name) {
        return R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","clientInfo":{"name":")" +
               name + "\",\"version\":\"1\"}}}\n";
    };
    EXPECT_NE(client(initialize("bad")), "");
    EXPECT_EQ(client(call), "");
    EXPECT_NE(client(initialize("good")), "");
    EXPECT_EQ(client(call), call);
    const std::string modern = R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a","_meta":{
        "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bad","version":"1"}}}})";
    std::string line = modern;
    std::erase(line, '\n');
    EXPECT_EQ(client(line + "\n"), "");
}

TEST_F(GateTest, ConditionsAskForWhatTheServerSaidOfItsTools) {
    use(R"({"version":"1","default":"allow","tools":{
        "glob:*":{"require":[{"conditions":[{"path":"annotations.readOnlyHint","op":"eq","value":true}]}]}}})");
    EXPECT_EQ(client(call_line("1", "a")), "");
    server(result_line("9", R"({"tools":[{"name":"a","annotations":{"title":"A","readOnlyHint":true}},
        {"name":"b","x":{"annotations":{"readOnlyHint":true}}},{"name":"c","annotations":{"readOnlyHint":false}}]})"));
    EXPECT_EQ(client(call_line("1", "a")), "");  // the list was two lines, which is no message
    server(result_line(
        "9", R"({"tools":[{"name":"a","annotations":{"title":"A","readOnlyHint":true}},)"
             R"({"name":"b","x":{"annotations":{"readOnlyHint":true}}},{"name":"c","annotations":{"readOnlyHint":false}}]})"));
    EXPECT_NE(client(call_line("1", "a")), "");
    EXPECT_EQ(client(call_line("2", "b")), "");
    EXPECT_EQ(client(call_line("3", "c")), "");
    server(result_line("10", R"({"tools":[{"name":"a"}]})"));
    EXPECT_EQ(client(call_line("4", "a")), "");
}

// Whatever deny_as says: a client that can ask its human looks for the code.
TEST_F(GateTest, WhatAHumanMustApproveIsAnsweredWithAnError) {
    use(R"({"version":"1","default":"deny","deny_as":"result","tools":{"a":{"action":"require_approval"}}})");
    const std::string line = answer(call_line("7", "a"));
    EXPECT_THAT(line, StartsWith(R"({"jsonrpc":"2.0","id":7,"error":{"code":-32003,)"));
    EXPECT_THAT(line, HasSubstr("needs the approval of a human"));
}

constexpr char kNoSampling[] = R"({"version":"1","default":"allow","methods":{
    "sampling/createMessage":{"action":"deny","reason":"No sampling."},"notifications/message":{"action":"deny"},
    "resources/read":{"names":{"file:///no":{"action":"deny"}}}}})";
constexpr char kSampling[] = R"({"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{"messages":[]}})"
                             "\n";

TEST_F(GateTest, WhatAServerMayNotAskIsAnsweredToTheServer) {
    use(kNoSampling);
    EXPECT_EQ(client("{\"half"), "");
    to_server_.clear();
    EXPECT_EQ(server(kSampling), "");
    EXPECT_THAT(text(to_server_),
                StartsWith(R"({"jsonrpc":"2.0","id":"s1","error":{"code":-31403,"message":"[POLICY DENIED] No sampling.")"));
    EXPECT_THAT(text(to_server_), HasSubstr(R"("rule":"/methods/sampling~1createMessage/action")"));
    to_server_.clear();
    EXPECT_EQ(server(R"({"jsonrpc":"2.0","method":"notifications/message","params":{}})"
                     "\n"),
              "");
    EXPECT_EQ(text(to_server_), "");
    const std::string roots = R"({"jsonrpc":"2.0","id":2,"method":"roots/list"})"
                              "\n";
    EXPECT_EQ(server(roots), roots);
    EXPECT_EQ(gate_->counts().server_in, 3u);
    EXPECT_EQ(gate_->counts().server_denied, 2u);
    EXPECT_EQ(gate_->counts().server_forwarded, 1u);
    gate_->client_end();
    to_server_.clear();
    EXPECT_EQ(server(kSampling), "");
    EXPECT_EQ(text(to_server_), "");  // its input has ended
    const std::string audit = world_.audit_text();
    EXPECT_THAT(
        audit,
        HasSubstr(R"("direction":"s2c","kind":"request","method":"sampling/createMessage","rpc_id":"s1","decision":"deny")"));
}

TEST_F(GateTest, ShadowLetsAServerAsk) {
    std::string policy(kNoSampling);
    policy.replace(1, 0, R"("mode":"shadow",)");
    use(policy);
    EXPECT_EQ(server(kSampling), kSampling);
    EXPECT_EQ(text(to_server_), "");
    EXPECT_THAT(world_.audit_text(), HasSubstr(R"("decision":"would_deny")"));
}

TEST_F(GateTest, OtherMethodsAreDeniedWithAnError) {
    use(kNoSampling);
    const std::string line = answer(R"({"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"file:///no"}})"
                                    "\n");
    EXPECT_THAT(line, StartsWith(R"({"jsonrpc":"2.0","id":7,"error":{"code":-31403,)"));
    EXPECT_THAT(line, HasSubstr("/methods/resources~1read/names/file:~1~1~1no/action"));
}

TEST_F(GateTest, ChunksDoNotMatter) {
    const std::string stream = call_line("1", "ok") + "\n" + call_line("2", "bad") + "{x\n" + call_line("3", "ok");
    std::string whole;
    for (size_t chunk : {stream.size(), size_t{1}, size_t{3}, size_t{7}}) {
        use();
        to_server_.clear();
        to_client_.clear();
        for (size_t at = 0; at < stream.size(); at += chunk) gate_->client_bytes(std::string_view(stream).substr(at, chunk));
        if (whole.empty()) whole = text(to_server_) + text(to_client_);
        EXPECT_EQ(text(to_server_) + text(to_client_), whole);
        EXPECT_TRUE(gate_->counts().conserved());
    }
}

}  // namespace
}  // namespace callgate
