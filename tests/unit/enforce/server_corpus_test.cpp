// Runs tests/corpus/server_messages.jsonl on stdio, in chunks of several sizes, and over HTTP.
#include <sstream>

#include "http_fixture.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kPolicy[] = R"({"version":"1","default":"allow","methods":{
    "sampling/createMessage":{"action":"deny"},"elicitation/*":{"action":"deny"},"notifications/message":{"action":"deny"}}})";
constexpr char kNoMethods[] = R"({"version":"1","default":"allow"})";

// One code point up to U+00FF is one byte.
std::string to_bytes(const std::string& utf8) {
    std::string bytes;
    for (size_t i = 0; i < utf8.size(); ++i) {
        const auto lead = static_cast<unsigned char>(utf8[i]);
        bytes.push_back(lead < 0x80 ? utf8[i] : static_cast<char>((lead & 0x03) << 6 | (utf8.at(++i) & 0x3f)));
    }
    return bytes;
}

struct ServerCase {
    std::string name, input, answered_id;
    std::vector<std::string> verdicts;  // of its lines

    std::vector<std::string> lines() const {
        std::vector<std::string> all;
        std::istringstream text(input);
        for (std::string line; std::getline(text, line);) all.push_back(line + "\n");
        return all;
    }
    std::string passed() const {
        std::string out;
        for (size_t i = 0; i < verdicts.size(); ++i) out += verdicts[i] == "denied" ? "" : lines()[i];
        return out;
    }
    size_t count(std::string_view verdict) const {
        return static_cast<size_t>(std::count(verdicts.begin(), verdicts.end(), verdict));
    }
};

void PrintTo(const ServerCase& row, std::ostream* out) { *out << row.name; }

std::vector<ServerCase> cases() {
    std::ifstream file(CALLGATE_SOURCE_DIR "/tests/corpus/server_messages.jsonl");
    std::vector<ServerCase> all;
    for (std::string line; std::getline(file, line);) {
        const auto row = nlohmann::json::parse(line);
        all.push_back({row["name"], to_bytes(row["input"]), row["answered_id"], row["lines"]});
    }
    EXPECT_GT(all.size(), 30u);
    return all;
}

class ServerCorpus : public ::testing::TestWithParam<ServerCase> {
  protected:
    void begin(std::string policy) {
        to_server_.clear();
        to_client_.clear();
        gate_ = std::make_unique<Gate>(world_.options(policy), world_.counters, *world_.log, to_server_, to_client_);
    }
    void play(size_t piece = 0) {
        const std::string& input = GetParam().input;
        if (piece == 0) piece = input.size();
        for (size_t at = 0; at < input.size(); at += piece) gate_->server_bytes(std::string_view(input).substr(at, piece));
        EXPECT_TRUE(gate_->counts().conserved());
    }
    static std::string text(const Outbox& outbox) { return std::string(outbox.first()) + std::string(outbox.second()); }

    GateWorld world_;
    Outbox to_server_, to_client_;
    std::unique_ptr<Gate> gate_;
};

TEST_P(ServerCorpus, OnStdio) {
    for (const size_t piece : {size_t{0}, size_t{1}, size_t{3}, size_t{7}}) {
        begin(kPolicy);
        play(piece);
        EXPECT_EQ(text(to_client_), GetParam().passed()) << piece;
        EXPECT_EQ(gate_->counts().server_denied, GetParam().count("denied"));
        EXPECT_EQ(gate_->counts().server_forwarded, GetParam().count("recorded"));
        const std::string answer = R"({"jsonrpc":"2.0","id":)" + GetParam().answered_id + R"(,"error":{"code":-31403,)";
        if (GetParam().answered_id.empty()) {
            EXPECT_EQ(text(to_server_), "");
        } else {
            EXPECT_THAT(text(to_server_), ::testing::StartsWith(answer));
        }
    }
    const std::string audit = world_.audit_text();
    const bool is_denied = GetParam().count("denied") > 0;
    const auto denied = HasSubstr(R"("kind":"invalid")"),
               rule = HasSubstr(R"_("decision":"deny","rule":"(unreadable message)")_");
    if (is_denied) {
        EXPECT_THAT(audit, denied);
        EXPECT_THAT(audit, rule);
    } else if (GetParam().count("recorded") > 0) {
        EXPECT_THAT(audit, HasSubstr(R"("decision":"pass")"));
        EXPECT_THAT(audit, HasSubstr(R"("refusal":")"));
    } else {
        EXPECT_EQ(audit, "");
    }
}

TEST_P(ServerCorpus, PassesWhereNoRuleSpeaksOfMethodsAndInShadow) {
    for (const std::string& policy : {std::string(kNoMethods), R"({"mode":"shadow",)" + std::string(kPolicy).substr(1),
                                      R"({"mode":"observe",)" + std::string(kPolicy).substr(1)}) {
        begin(policy);
        play();
        EXPECT_EQ(text(to_client_), GetParam().input) << policy;
        EXPECT_EQ(text(to_server_), "");
    }
    EXPECT_THAT(world_.audit_text(), Not(HasSubstr(R"("decision":"deny")")));
}

// As the data of one event each; there a line's end is white space.
TEST_P(ServerCorpus, OverHttp) {
    for (size_t i = 0; i < GetParam().verdicts.size(); ++i) {
        std::string line = GetParam().lines()[i];
        line.pop_back();
        if (line.find('\r') != line.npos) continue;  // an event has none in its data
        HttpWorld world(kPolicy);
        HttpWire wire(world);
        wire.play(client(post(call_json("7", "x"))));
        wire.play(server(kEventsHead + chunk(sse(line))));
        wire.play(server(chunk(sse(result_json("7"))) + kLastChunk));
        const bool denied = GetParam().verdicts[i] == "denied";
        EXPECT_EQ(wire.to_client.find(sse(line)) == std::string::npos, denied) << line;
        EXPECT_EQ(wire.to_client.find("callgate/denied") != std::string::npos, denied) << wire.to_client;
        EXPECT_THAT(wire.to_client, HasSubstr(result_json("7")));
        expect_conserved(wire.gate->counts());
        const std::vector<std::string> audit = world.audit();
        const bool is_recorded = std::any_of(audit.begin(), audit.end(), [](const std::string& record) {
            return record.starts_with("s2c invalid deny (unreadable message)") ||
                   record.starts_with("s2c request sampling/createMessage deny");
        });
        EXPECT_EQ(is_recorded, denied);
    }
}

INSTANTIATE_TEST_SUITE_P(Messages, ServerCorpus, ::testing::ValuesIn(cases()),
                         [](const ::testing::TestParamInfo<ServerCase>& row) { return row.param.name; });

class UnreadableLists : public ::testing::Test {
  protected:
    std::string list(const std::string& line, const char* policy = R"({"version":"1","default":"allow","hide":["secret"]})") {
        Outbox to_server, to_client;
        Gate gate(world_.options(policy), world_.counters, *world_.log, to_server, to_client);
        gate.client_bytes("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\n");
        gate.server_bytes(line + "\n");
        EXPECT_TRUE(gate.counts().conserved());
        return std::string(to_client.first()) + std::string(to_client.second());
    }
    static std::string of(const std::string& tools, const std::string& more = "") {
        return R"({"jsonrpc":"2.0","id":1,"result":{"tools":[)" + tools + "]" + more + "}}";
    }
    GateWorld world_;
};

TEST_F(UnreadableLists, AreFilteredWhereTheirStructureIsCertain) {
    const std::string ok = R"({"name":"ok"})";
    for (const char* hidden :
         {R"({"name":"secret","n":1e999})", R"({"name":"secret","a":1,"a":2})", R"({"name":"secret","name":"ok"})",
          R"({"name":"ok","name":"secret"})", R"({"name":"secret","d":"\ud800"})", R"({"Name":"secret","n":1e999})"}) {
        EXPECT_EQ(list(of(std::string(hidden) + "," + ok)), of(ok) + "\n") << hidden;
    }
    EXPECT_EQ(list("[" + of(R"({"name":"secret"},)" + ok) + "]"), "[" + of(ok) + "]\n");
    EXPECT_EQ(list("\xef\xbb\xbf" + of(R"({"name":"secret"},)" + ok)), "\xef\xbb\xbf" + of(ok) + "\n");
}

TEST_F(UnreadableLists, OrElseWithheldAndAnsweredIfAHiddenToolIsNamed) {
    const auto is_denied = ::testing::StartsWith(
        R"({"jsonrpc":"2.0","id":1,"error":{"code":-31403,"message":"[POLICY DENIED] Some clients may read)");
    EXPECT_THAT(list(of(R"({"name":"secret","n":NaN},{"name":"ok"})")), is_denied);
    EXPECT_THAT(list(of(R"({"name":"s\u0065cret"},{"name":"ok"},)")), is_denied);
    EXPECT_THAT(list(of("{\"name\":\"secret\",\"d\":\"\t\"}")), is_denied);
    const std::string harmless = of(R"({"name":"ok","n":NaN})");
    EXPECT_EQ(list(harmless), harmless + "\n");
    const std::string text = of(R"({"name":"secret","n":NaN})");
    EXPECT_EQ(list(text, kNoMethods), text + "\n");
    EXPECT_THAT(world_.audit_text(), HasSubstr(R"_("decision":"deny","rule":"(unreadable message)")_"));
}

TEST_F(UnreadableLists, AreAnsweredOnlyWhereItIsCertainWhatTheyAnswer) {
    Outbox to_server, to_client;
    Gate gate(world_.options(R"({"version":"1","default":"allow","hide":["secret"]})"), world_.counters, *world_.log, to_server,
              to_client);
    for (const char* id : {"1", "\"a\\\"b\""})
        gate.client_bytes(std::string(R"({"jsonrpc":"2.0","method":"tools/list","id":)") + id + "}\n");
    const std::string unreadable = of(R"({"name":"secret","n":NaN})") + "\n";
    gate.server_bytes(unreadable);
    EXPECT_EQ(to_client.size(), 0u) << "two are in flight";
    gate.server_bytes(of(R"({"name":"ok"})") + "\n");
    to_client.clear();
    gate.server_bytes(unreadable);
    EXPECT_THAT(std::string(to_client.first()) + std::string(to_client.second()),
                ::testing::StartsWith(R"({"jsonrpc":"2.0","id":"a\"b","error":{)"));
    EXPECT_EQ(gate.pending_requests(), 0u);
    EXPECT_TRUE(gate.counts().conserved());
}

TEST(InputRequests, AreJudgedAsTheRequestsThatTheyWereInOlderRevisions) {
    const char* policy =
        R"({"version":"1","default":"allow","methods":{"sampling/createMessage":{"action":"deny","reason":"no sampling"}}})";
    const std::string roots = R"("b":{"method":"roots/list"})",
                      sampling = R"("a":{"method":"sampling/createMessage","params":{}})";
    struct Case {
        std::string requests, rule;
    };
    const std::vector<Case> cases{{R"("inputRequests":{)" + roots + "}", ""},
                                  {R"("inputRequests":null)", ""},
                                  {R"("content":{"inputRequests":{)" + sampling + "}}", ""},
                                  {R"("inputRequests":{)" + roots + "," + sampling + "}", "no sampling"},
                                  {R"("input\u0052equests":{)" + sampling + "}", "no sampling"},
                                  {R"("InputRequests":{)" + sampling + "}", "(unclear inputRequests)"},
                                  {R"("inputRequests":[)" + std::string("]"), "(unclear inputRequests)"},
                                  {R"("inputRequests":{"a":7})", "(unclear inputRequests)"},
                                  {R"("inputRequests":{"a":{}})", "(unclear inputRequests)"},
                                  {R"("inputRequests":{"a":{"method":"roots/list","id":9}})", "(unclear inputRequests)"}};
    for (const Case& each : cases) {
        for (const std::string& mode : {std::string("enforce"), std::string("shadow")}) {
            GateWorld world;
            Outbox to_server, to_client;
            Gate gate(world.options(R"({"mode":")" + mode + "\"," + std::string(policy).substr(1)), world.counters, *world.log,
                      to_server, to_client);
            gate.client_bytes(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{}}})"
                              "\n");
            const std::string line =
                R"({"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required",)" + each.requests + "}}\n";
            gate.server_bytes(line);
            const std::string got = std::string(to_client.first()) + std::string(to_client.second());
            const bool is_denied = !each.rule.empty() && mode == "enforce";
            if (is_denied) {
                EXPECT_THAT(got, ::testing::StartsWith(R"({"jsonrpc":"2.0","id":1,"result":{"content":[)")) << each.requests;
                EXPECT_THAT(got, HasSubstr("isError")) << each.requests;
            } else {
                EXPECT_EQ(got, line);
            }
            if (!each.rule.empty()) {
                EXPECT_THAT(world.audit_text(), HasSubstr(each.rule)) << each.requests;
            }
            EXPECT_EQ(gate.pending_requests(), 0u);
            EXPECT_TRUE(gate.counts().conserved());
        }
    }
}

TEST(LinesTooLongToLookInto, DoNotReachTheClientWhereRulesSpeakOfMethods) {
    const std::string begin = R"({"jsonrpc":"2.0","id":1,"params":{"x":")" + std::string(kFrameBytesMax, 'x');
    const std::string end = R"("},"method":"sampling/createMessage"})"
                            "\nnext\n";
    for (const bool has_rules : {true, false}) {
        GateWorld world;
        Outbox to_server, to_client;
        Gate gate(world.options(has_rules ? kPolicy : kNoMethods), world.counters, *world.log, to_server, to_client);
        gate.server_bytes(begin);
        Gate next(world.options(has_rules ? kPolicy : kNoMethods), world.counters, *world.log, to_server, to_client);
        ASSERT_TRUE(next.restore(gate.save()));
        next.server_bytes(end);
        EXPECT_TRUE(next.counts().conserved());
        EXPECT_EQ(to_client.size(), has_rules ? 5 : begin.size() + end.size());
        EXPECT_EQ(next.counts().server_denied, has_rules ? 1 : 0);
    }
}

}  // namespace
}  // namespace callgate
