// Calls that a human must approve, over stdio and over HTTP: what goes on, how often, and what waits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "../approval/approval_world.h"
#include "base/clock.h"
#include "gate_fixture.h"
#include "http_fixture.h"

namespace callgate {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr char kPolicy[] =
    R"({"version":"1","default":"deny","hide":["hidden"],"call_methods":{"tools/batch":"params.calls[*].name"},
    "tools":{"ok":{},"ask":{"action":"require_approval"},"hidden":{"action":"require_approval"},
    "never":{"action":"require_approval","deny_if":[{"conditions":[]}]},
    "slow":{"action":"require_approval","hold_ms":60000},
    "full":{"action":"require_approval","limits":[{"counter":"c","window":31622400,"max":0}]},
    "one":{"action":"require_approval","limits":[{"counter":"f","max_in_flight":1}]}},
    "methods":{"prompts/get":{"action":"require_approval","names":{"p":{},"denied":{"action":"deny"}}},
               "sampling/createMessage":{"action":"require_approval","hold_ms":60000}}})";

// One agent's book for both transports. It is kept by the clock, as the gates ask by it.
class Approvals : public ::testing::Test {
  protected:
    Approvals() : book(world.counters.waiting()) {
        auto opened = Database::open(tree.path("/state.db"));
        EXPECT_TRUE(opened) << opened.error().text();
        database = std::move(*opened);
        EXPECT_TRUE(book.keep_in(*database, realtime_ns()).ok());
    }
    std::string only_pending() {
        std::string id;
        for (const ApprovalRecord* record : book.records()) {
            if (record->state == ApprovalState::pending) id = record->id.view();
        }
        return id;
    }
    void decide(const std::string& id, ApprovalState decision, const std::string& reason = "") {
        auto done = book.decide(id, decision, alice(), reason, realtime_ns());
        EXPECT_TRUE(done) << done.error().text();
    }
    void approve(const std::string& id) { decide(id, ApprovalState::approved); }

    TempTree tree;
    std::unique_ptr<Database> database;
    GateWorld world;
    ApprovalBook book;
};

class StdioApprovals : public Approvals {
  protected:
    void begin(const std::string& policy = kPolicy) {
        GateOptions options = world.options(policy);
        options.approvals = &book;
        gate = std::make_unique<Gate>(std::move(options), world.counters, *world.log, to_server, to_client);
    }
    ~StdioApprovals() override {
        if (gate) {
            EXPECT_TRUE(gate->counts().conserved());
        }
        gate.reset();
    }
    static std::string taken(Outbox& box) {
        const std::string text(box.text());
        box.clear();
        return text;
    }
    // What reaches the server.
    std::string sent(const std::string& line) {
        gate->client_bytes(line);
        return taken(to_server);
    }
    json answer() {
        const std::string text = taken(to_client);
        return text.empty() ? json() : json::parse(text.substr(0, text.find('\n')));
    }
    std::string run() {
        world.counters.waiting().run(monotonic_ns());
        return taken(to_server);
    }
    Outbox to_server, to_client;
    std::unique_ptr<Gate> gate;
};

TEST_F(StdioApprovals, IsAnsweredWithWhatAHumanMustRunAndThenLetThroughOnce) {
    begin();
    EXPECT_EQ(sent(call_line("1", "ask")), "");
    const json error = answer()["error"];
    const std::string id = only_pending();
    EXPECT_EQ(error["code"], -32003);
    EXPECT_EQ(error["data"]["approval_id"], id);
    EXPECT_EQ(error["data"]["approve"], "callgate approvals approve " + id);
    EXPECT_THAT(std::string(error["message"]),
                HasSubstr("[APPROVAL NEEDED] Tool \"ask\" needs the approval of a human. Approval " + id));
    approve(id);
    EXPECT_EQ(sent(call_line("2", "ask")), call_line("2", "ask"));
    EXPECT_EQ(sent(call_line("3", "ask")), "");
    EXPECT_NE(answer()["error"]["data"]["approval_id"], id);
}

TEST_F(StdioApprovals, ADenialIsTold) {
    begin();
    sent(call_line("1", "ask"));
    answer();
    decide(only_pending(), ApprovalState::denied, "no \"money\"");
    EXPECT_EQ(sent(call_line("2", "ask")), "");
    const json result = answer()["result"];
    EXPECT_THAT(std::string(result["content"][0]["text"]),
                HasSubstr("[POLICY DENIED] Tool \"ask\" needs the approval of a human. A human has denied it"));
    EXPECT_THAT(std::string(result["content"][0]["text"]), HasSubstr("no \"money\""));
    EXPECT_FALSE(result["_meta"]["io.callgate/decision"].contains("approve"));
}

TEST_F(StdioApprovals, WhatIsDeniedAnywayIsNotAskedFor) {
    begin();
    for (const char* tool : {"hidden", "never", "unlisted"}) EXPECT_EQ(sent(call_line("1", tool)), "");
    EXPECT_EQ(sent(R"({"jsonrpc":"2.0","id":2,"method":"prompts/get","params":{"name":"denied"}})"
                   "\n"),
              "");
    EXPECT_EQ(sent(R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"ask"}})"
                   "\n"),
              "");  // a notification
    EXPECT_EQ(book.pending(), 0u);
    EXPECT_EQ(sent(R"({"jsonrpc":"2.0","id":3,"method":"prompts/get","params":{"name":"p"}})"
                   "\n"),
              "");
    EXPECT_EQ(book.pending(), 1u);
}

TEST_F(StdioApprovals, LimitsDoNotUseItUp) {
    begin();
    sent(call_line("1", "full"));
    approve(only_pending());
    for (int i = 0; i < 2; ++i) {
        answer();
        EXPECT_EQ(sent(call_line("2", "full")), "");
        EXPECT_EQ(answer()["result"]["_meta"]["io.callgate/decision"]["code"], -31429);
    }
    EXPECT_EQ(state_name(*book.records().front()), "approved");
}

TEST_F(StdioApprovals, ShadowModeAsksNobody) {
    std::string policy = kPolicy;
    policy.replace(policy.find("\"default\""), 0, "\"mode\":\"shadow\",");
    begin(policy);
    EXPECT_EQ(sent(call_line("1", "ask")), call_line("1", "ask"));
    EXPECT_TRUE(book.records().empty());
}

TEST_F(StdioApprovals, ACallWaitsForTheDecisionAndOthersPassIt) {
    begin();
    EXPECT_EQ(sent(call_line("1", "slow")), "");
    EXPECT_EQ(gate->counts().held, 1u);
    EXPECT_EQ(sent(call_line("2", "ok")), call_line("2", "ok"));
    EXPECT_EQ(run(), "");
    approve(only_pending());
    EXPECT_EQ(run(), call_line("1", "slow"));
    EXPECT_EQ(gate->counts().held, 0u);
}

TEST_F(StdioApprovals, OfTwoThatWaitOneGoesOn) {
    begin();
    sent(call_line("1", "slow"));
    sent(call_line("2", "slow"));
    EXPECT_EQ(book.pending(), 1u);
    approve(only_pending());
    EXPECT_EQ(run(), call_line("1", "slow"));
    EXPECT_EQ(gate->counts().held, 1u);
    EXPECT_EQ(book.pending(), 1u);
    approve(only_pending());
    EXPECT_EQ(run(), call_line("2", "slow"));
}

TEST_F(StdioApprovals, ADenialEndsTheWaiting) {
    begin();
    sent(call_line("1", "slow"));
    decide(only_pending(), ApprovalState::denied, "no");
    EXPECT_EQ(run(), "");
    EXPECT_THAT(answer().dump(), HasSubstr("A human has denied it"));
}

TEST_F(StdioApprovals, ACancelledCallDoesNotUseIt) {
    begin();
    sent(call_line("1", "slow"));
    sent(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})"
         "\n");
    EXPECT_EQ(gate->counts().held, 0u);
    approve(only_pending());
    EXPECT_EQ(run(), "");
    EXPECT_EQ(sent(call_line("2", "slow")), call_line("2", "slow"));
}

TEST_F(StdioApprovals, CarriedCallsNeedOneEach) {
    begin();
    const auto batch = [](const std::string& id, const std::string& calls) {
        return R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":"tools/batch","params":{"calls":[)" + calls + "]}}\n";
    };
    const std::string both = R"({"name":"ask","arguments":{"a":1}},{"name":"ok"},{"name":"ask","arguments":{"a":2}})";
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(sent(batch("1", both)), "");
        EXPECT_EQ(answer()["error"]["data"]["approval_id"], only_pending());
        approve(only_pending());
    }
    EXPECT_EQ(sent(batch("2", both)), batch("2", both));
    // Twice the same: there is one approval.
    const std::string twice = R"({"name":"ask","arguments":{"a":3}},{"name":"ask","arguments":{"a":3}})";
    sent(batch("3", twice));
    approve(only_pending());
    answer();
    EXPECT_EQ(sent(batch("4", twice)), "");
    EXPECT_THAT(answer().dump(), HasSubstr("(approved once)"));
    // It was approved in that message: in another one it is asked for anew.
    EXPECT_EQ(sent(batch("5", R"({"name":"ask","arguments":{"a":3}})")), "");
    EXPECT_EQ(answer()["error"]["data"]["approval_id"], only_pending());
}

TEST_F(StdioApprovals, WhatElseAMessageSaysIsApprovedWithIt) {
    begin();
    const auto call = [](const std::string& id, const std::string& more) {
        return R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":"tools/call","params":{"name":"ask","arguments":{"a":1})" + more +
               "}}\n";
    };
    EXPECT_EQ(sent(call("1", R"(,"_meta":{"progressToken":1,"tenant":"test"})")), "");
    EXPECT_EQ(book.records().front()->other_params, R"({"_meta":{"tenant":"test"}})");
    approve(only_pending());
    for (const char* other : {R"(,"_meta":{"tenant":"production"})", "", R"(,"_meta":{"tenant":"test"},"task":{"ttl":1})"}) {
        answer();
        EXPECT_EQ(sent(call("2", other)), "") << other;
    }
    const std::string same = call("3", R"(,"_meta":{"tenant":"test","progressToken":2})");
    EXPECT_EQ(sent(same), same);
}

TEST_F(StdioApprovals, WhatCannotBeRecordedIsNotLetThrough) {
    begin();
    sent(call_line("1", "one"));
    approve(only_pending());
    answer();
    ASSERT_TRUE(database->execute("DROP TABLE approvals").ok());
    EXPECT_EQ(sent(call_line("2", "one")), "");
    EXPECT_THAT(answer().dump(), HasSubstr("(approval not recorded)"));
    for (const auto& row : world.counters.rows(realtime_ns())) EXPECT_EQ(row.count, 0) << row.key;  // it is not in flight
}

TEST_F(StdioApprovals, AServersRequestIsLetThroughWhenItIsApproved) {
    begin();
    const std::string request = R"({"jsonrpc":"2.0","id":9,"method":"sampling/createMessage","params":{"maxTokens":1}})"
                                "\n";
    gate->server_bytes(request);
    EXPECT_EQ(taken(to_client), "");
    EXPECT_THAT(taken(to_server), HasSubstr(only_pending()));
    approve(only_pending());
    gate->server_bytes(request);
    EXPECT_EQ(taken(to_client), request);
    gate->server_bytes(request);
    EXPECT_EQ(taken(to_client), "");
}

TEST_F(StdioApprovals, AnotherRevisionOfThePolicyMeansAnotherApproval) {
    begin();
    sent(call_line("1", "ask"));
    approve(only_pending());
    GateOptions changed = world.options(std::string(kPolicy) + "\n");
    gate->use_policy(changed.policy, changed.audit_session);
    EXPECT_EQ(sent(call_line("2", "ask")), "");
    EXPECT_EQ(book.pending(), 1u);
}

// --- HTTP

class HttpApprovals : public Approvals {
  protected:
    HttpApprovals() : http(kPolicy), wire(http) {
        HttpGateOptions options{http.policy, local_facts()};
        options.approvals = &book;
        wire.gate = std::make_unique<HttpGate>(std::move(options), *http.sessions, world.counters, *world.log, wire.to_server,
                                               wire.to_client);
    }
    static std::string one(const std::string& id, const std::string& tool) {
        std::string line = call_line(id, tool);
        line.pop_back();
        return line;
    }
    std::string posted(const std::string& body) {
        const size_t before = wire.to_server.size();
        wire.play(client(
            "POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body));
        return wire.to_server.substr(before);
    }
    void answered() { wire.play(server("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")); }
    std::string run() {
        const size_t before = wire.to_server.size();
        world.counters.waiting().run(monotonic_ns());
        return wire.to_server.substr(before);
    }
    HttpWorld http;
    HttpWire wire;
};

TEST_F(HttpApprovals, IsLetThroughOnce) {
    EXPECT_EQ(posted(one("1", "ask")), "");
    EXPECT_THAT(wire.to_client, HasSubstr("\"approval_id\":\"" + only_pending()));
    approve(only_pending());
    EXPECT_THAT(posted(one("2", "ask")), HasSubstr(one("2", "ask")));
    answered();
    EXPECT_EQ(posted(one("3", "ask")), "");
}

TEST_F(HttpApprovals, AnArrayGoesOnWhenAllOfItMay) {
    const std::string array = "[" + one("1", "ask") + "," + one("2", "ok") + "," + one("3", "one") + "]";
    EXPECT_EQ(posted(array), "");
    EXPECT_EQ(book.pending(), 2u);
    approve(only_pending());
    EXPECT_EQ(posted(array), "");  // what is approved of it is not used
    approve(only_pending());
    EXPECT_THAT(posted(array), HasSubstr(array));
    answered();
    EXPECT_EQ(posted(array), "");
}

TEST_F(HttpApprovals, TheSameCallTwiceInAnArrayIsNotApprovedTwice) {
    const std::string array = "[" + one("1", "ask") + "," + one("2", "ask") + "]";
    EXPECT_EQ(posted(array), "");
    EXPECT_EQ(book.pending(), 1u);
    approve(only_pending());
    EXPECT_EQ(posted(array), "");
    EXPECT_THAT(wire.to_client, HasSubstr("(approved once)"));
    EXPECT_THAT(posted(one("3", "ask")), HasSubstr(one("3", "ask")));
}

TEST_F(HttpApprovals, ARequestWaitsForTheDecision) {
    EXPECT_EQ(posted(one("1", "slow")), "");
    EXPECT_EQ(wire.to_client, "");
    approve(only_pending());
    EXPECT_THAT(run(), HasSubstr(one("1", "slow")));
}

}  // namespace
}  // namespace callgate
