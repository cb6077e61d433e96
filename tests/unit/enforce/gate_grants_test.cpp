// The grant of a session on stdio: what is granted before the client has said its name, and after.
#include <gmock/gmock.h>

#include "gate_fixture.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

constexpr char kPolicy[] = R"({"version":"1","default":"deny","tools":{
    "ok":{},
    "once":{"limits":[{"counter":"c","window":"day","max":1}]},
    "ci":{"require":[{"conditions":[{"path":"grant.name","op":"eq","value":"ci"}]}]},
    "cheap":{"require":[{"conditions":[{"path":"grant.tier","op":"lte","value":2}]}]}}})";
constexpr char kGrants[] =
    R"("ci":{"match":{"user":"ci"},"labels":{"tier":2}},"cursor":{"match":{"user":"ci","client":"cursor"}})";

std::string initialize(std::string_view client) {
    return R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":")" +
           std::string(client) + "\",\"version\":\"1\"}}}\n";
}

std::string modern_call(std::string_view client, std::string_view tool) {
    return R"({"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":")" + std::string(tool) +
           R"(","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":")" +
           std::string(client) + "\",\"version\":\"1\"}}}}\n";
}

class GateGrants : public ::testing::Test {
  protected:
    GateGrants() {
        in_force_.table = table(kGrants);
        GateOptions options = world_.options(kPolicy);
        options.peer.process.pid = 20;
        options.peer.process.user = "ci";
        options.grants = &in_force_;
        options.describe = [this](const std::string& grant) {
            SessionFacts facts;
            facts.session_id = "s-1";
            facts.grant = grant;
            return world_.log->describe(facts);
        };
        gate_ = std::make_unique<Gate>(std::move(options), world_.counters, *world_.log, to_server_, to_client_);
    }
    static std::shared_ptr<const GrantTable> table(const std::string& grants, const std::string& more = "") {
        std::vector<PolicyProblem> problems;
        auto made = GrantTable::load(R"({"version":"1","grants":{)" + grants + "}" + more + "}", "g", problems);
        for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
        return made;
    }
    bool passes(const std::string& line) {
        to_server_.clear();
        to_client_.clear();
        gate_->client_bytes(line);
        return to_server_.size() > 0;
    }
    bool may_call(std::string_view tool) { return passes(call_line(std::to_string(++id_), tool)); }
    std::string answer() const { return std::string(to_client_.first()) + std::string(to_client_.second()); }

    GateWorld world_;
    GrantsInForce in_force_;
    Outbox to_server_, to_client_;
    std::unique_ptr<Gate> gate_;
    int id_ = 0;
};

TEST_F(GateGrants, ConditionsSeeNameAndLabels) {
    EXPECT_EQ(gate_->grant(), "ci");
    EXPECT_TRUE(may_call("ci"));
    EXPECT_TRUE(may_call("cheap"));
    in_force_.table = table("");
    EXPECT_FALSE(may_call("ci"));
    EXPECT_THAT(answer(), HasSubstr("/tools/ci/require/grant.name-eq"));
    EXPECT_FALSE(may_call("cheap"));
}

TEST_F(GateGrants, CountersAreThoseOfTheGrant) {
    EXPECT_TRUE(may_call("once"));
    EXPECT_FALSE(may_call("once"));
    in_force_.table = table(R"("other":{"match":{"user":"ci"}})");
    EXPECT_TRUE(may_call("once"));
    in_force_.table = table(kGrants);
    EXPECT_FALSE(may_call("once"));
}

TEST_F(GateGrants, AnInitializeThatSaysTheNameIsItselfJudgedUnderTheNewGrant) {
    EXPECT_TRUE(may_call("ci"));
    EXPECT_TRUE(passes(initialize("cursor")));
    EXPECT_EQ(gate_->grant(), "cursor");
    EXPECT_FALSE(may_call("ci"));
    const std::string audit = world_.audit_text();
    const size_t at = audit.find("\"initialize\"");
    EXPECT_THAT(audit.substr(at, audit.find('\n', at) - at), HasSubstr("\"grant\":\"cursor\""));
}

TEST_F(GateGrants, InTheNewRevisionEachMessageSaysIt) {
    EXPECT_FALSE(passes(modern_call("cursor", "ci")));
    EXPECT_TRUE(passes(modern_call("vim", "ci")));
    EXPECT_FALSE(passes(modern_call("cursor", "ci")));
    EXPECT_EQ(gate_->grant(), "cursor");
}

TEST_F(GateGrants, WhoHasNoneIsDeniedWhereTheFileSaysSo) {
    in_force_.table = table(R"("alice":{"match":{"user":"alice"}})", R"(,"default":"deny")");
    EXPECT_TRUE(passes(initialize("x")));  // the handshake
    EXPECT_FALSE(may_call("ok"));
    EXPECT_THAT(answer(), HasSubstr(R"_("rule":"(no grant)")_"));
    EXPECT_FALSE(passes(R"({"jsonrpc":"2.0","id":5,"method":"resources/read","params":{"uri":"a:b"}})"
                        "\n"));
    EXPECT_TRUE(passes(R"({"jsonrpc":"2.0","id":6,"method":"tools/list"})"
                       "\n"));
    in_force_.table = table(R"("ci":{"match":{"user":"ci"}})", R"(,"default":"deny")");
    EXPECT_TRUE(may_call("ok"));
}

TEST_F(GateGrants, ATieIsDenied) {
    in_force_.table = table(R"("a":{"match":{"user":"ci"}},"b":{"match":{"user":"glob:c*"}})");
    EXPECT_FALSE(may_call("ok"));
    EXPECT_THAT(answer(), HasSubstr(R"_("rule":"(grant tie)")_"));
}

}  // namespace
}  // namespace callgate
