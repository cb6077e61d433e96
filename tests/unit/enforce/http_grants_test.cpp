// The grant of a client over HTTP: by connection, by what its session said, by what each message says.
#include "http_fixture.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

constexpr char kPolicy[] = R"({"version":"1","default":"deny","tools":{
    "cursor":{"require":[{"conditions":[{"path":"grant.name","op":"eq","value":"cursor"}]}]},
    "once":{"limits":[{"counter":"c","window":"day","max":1}]}}})";

std::string modern_call(std::string_view client, std::string_view tool) {
    return R"({"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":")" + std::string(tool) +
           R"(","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":")" +
           std::string(client) + R"(","version":"1"}}}})";
}
std::string initialize(std::string_view client) {
    return R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":")" +
           std::string(client) + R"(","version":"1"}}})";
}

class HttpGrants : public ::testing::Test {
  protected:
    void use(const std::string& grants, const std::string& more = "") {
        std::vector<PolicyProblem> problems;
        world_.grants.table = GrantTable::load(R"({"version":"1","grants":{)" + grants + "}" + more + "}", "g", problems);
        for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
    }
    // On a connection of its own.
    bool passes(const std::string& body, const std::string& more = "") {
        HttpWire wire(world_);
        wire.play(client(post(body, more)));
        answer_ = wire.to_client;
        if (wire.to_server.empty()) return false;
        wire.play(server(response(result_json("9"), body.find("initialize") != body.npos ? "Mcp-Session-Id: s1\r\n" : "")));
        return true;
    }
    HttpWorld world_{kPolicy};
    std::string answer_;
};

TEST_F(HttpGrants, OfASessionThatSaidItsName) {
    use(R"("exe":{"match":{"exe":"/usr/bin/client"}},"cursor":{"match":{"exe":"/usr/bin/client","client":"cursor"}})");
    ASSERT_TRUE(passes(initialize("cursor")));
    EXPECT_TRUE(passes(call_json("9", "cursor"), "Mcp-Session-Id: s1\r\n"));
    EXPECT_FALSE(passes(call_json("9", "cursor")));  // of no session: nobody has said a name
    world_.audit();
    for (const nlohmann::json& record : world_.records) {
        if (record["type"] != "session_start" || record.value("client", "") != "cursor") continue;
        EXPECT_EQ(record["grant"], "cursor");
    }
    EXPECT_EQ(world_.records[0]["grant"], "cursor");
}

TEST_F(HttpGrants, OfEachMessageOfTheNewRevision) {
    use(R"("cursor":{"match":{"client":"cursor"}})");
    HttpWire wire(world_);
    EXPECT_NE(wire.to_server_by(client(post(modern_call("cursor", "cursor")))), "");
    wire.play(server(response(result_json("9"))));
    EXPECT_EQ(wire.to_server_by(client(post(modern_call("vim", "cursor")))), "");
    EXPECT_NE(wire.to_server_by(client(post(modern_call("cursor", "cursor")))), "");
    world_.audit();
    std::vector<std::string> grants;
    for (const nlohmann::json& record : world_.records) {
        if (record["type"] == "message" && record["direction"] == "c2s") grants.push_back(record["grant"]);
    }
    EXPECT_EQ(grants, (std::vector<std::string>{"cursor", "uid:1000 exe:/usr/bin/client", "cursor"}));
}

TEST_F(HttpGrants, CountersAreThoseOfTheGrantWhateverTheConnection) {
    use(R"("exe":{"match":{"exe":"/usr/bin/client"}})");
    EXPECT_TRUE(passes(call_json("9", "once")));
    EXPECT_FALSE(passes(call_json("9", "once")));
    use("");
    EXPECT_TRUE(passes(call_json("9", "once")));
}

TEST_F(HttpGrants, WhoHasNoneIsDenied) {
    use(R"("other":{"match":{"exe":"/usr/bin/other"}})", R"(,"default":"deny")");
    EXPECT_FALSE(passes(call_json("9", "once")));
    EXPECT_THAT(answer_, HasSubstr("(no grant)"));
    EXPECT_TRUE(passes(initialize("x")));
}

}  // namespace
}  // namespace callgate
