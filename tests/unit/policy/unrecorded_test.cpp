#include "policy/unrecorded.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

std::shared_ptr<const Policy> policy(const std::string& members) {
    std::vector<PolicyProblem> problems;
    auto loaded = Policy::load(R"({"version":"1",)" + members + "}", "/x/p.json", problems);
    for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
    return loaded;
}

// Of a call of tool "t" whose arguments have these keys and no known values.
RecordedFacts keys_alone(std::vector<std::string> keys) {
    RecordedFacts facts;
    facts.has_values = false;
    facts.has_keys = true;
    facts.keys = std::move(keys);
    return facts;
}

std::string missing(const std::string& rules, const RecordedFacts& facts, const std::string& more = "") {
    TrialCall call;
    call.name = "t";
    call.arguments = "{";
    for (const std::string& key : facts.keys) call.arguments += (call.arguments.size() > 1 ? ",\"" : "\"") + key + "\":null";
    call.arguments += "}";
    const Trial trial(call);
    return std::string(missing_facts(*policy(R"("default":"allow","tools":{"t":{)" + rules + "}}" + more), trial, facts, false));
}

std::string rule(const std::string& kind, const std::string& conditions) {
    return "\"" + kind + R"(":[{"conditions":[)" + conditions + "]}]";
}

const std::string kAmount = R"({"path":"args.amount","op":"gt","value":1})",
                  kOther = R"({"path":"args.other","op":"eq","value":1})",
                  kNever = R"({"path":"grant.key","op":"eq","value":"nobody"})",
                  kAlways = R"({"path":"grant.key","op":"exists","value":false})";

TEST(Unrecorded, ConditionsOnArguments) {
    const RecordedFacts amount = keys_alone({"amount"});
    EXPECT_EQ(missing("", amount), "");
    for (const char* kind : {"deny_if", "require", "require_approval"}) {
        EXPECT_EQ(missing(rule(kind, kAmount), amount), "arguments") << kind;
        EXPECT_EQ(missing(rule(kind, kAmount), keys_alone({"to"})), "") << kind << ": nothing is there";
        EXPECT_EQ(missing(rule(kind, kAmount), RecordedFacts()), "") << kind << ": the values are known";
    }
    RecordedFacts unlisted = keys_alone({});
    unlisted.has_keys = false;
    EXPECT_EQ(missing(rule("deny_if", kAmount), unlisted), "arguments");
    EXPECT_EQ(missing(rule("deny_if", R"({"path":"args.*","op":"eq","value":1})"), amount), "arguments");
    EXPECT_EQ(missing(rule("deny_if", R"({"path":"args.*","op":"eq","value":1})"), keys_alone({})), "");
}

TEST(Unrecorded, WhatGrantsSaidOfANamedOne) {
    const auto of = [](const std::string& grant, const char* path) {
        TrialCall call;
        call.name = "t";
        call.grant = grant;
        const Trial trial(call);
        const std::string condition = std::string(R"({"path":")") + path + R"(","op":"eq","value":"ci"})";
        const auto judged = policy(R"("default":"allow","tools":{"t":{)" + rule("deny_if", condition) + "}}");
        return std::string(missing_facts(*judged, trial, RecordedFacts(), false));
    };
    EXPECT_EQ(of("ci", "grant.team"), "grant");
    EXPECT_EQ(of("ci", "grant.name"), "grant");
    EXPECT_EQ(of("ci", "grant.key"), "");
    EXPECT_EQ(of("uid:0 exe:/usr/bin/node", "grant.team"), "") << "a default grant has none";
}

TEST(Unrecorded, PresenceIsKnownOfMembersAlone) {
    const RecordedFacts amount = keys_alone({"amount"});
    EXPECT_EQ(missing(rule("require", R"({"path":"args.amount","op":"exists","value":true})"), amount), "");
    EXPECT_EQ(missing(rule("require", R"({"path":"args.reason","op":"exists","value":true})"), amount), "");
    EXPECT_EQ(missing(rule("require", R"({"path":"args.amount.x","op":"exists","value":true})"), amount), "arguments");
    EXPECT_EQ(missing(rule("require", R"({"path":"args.amount.x","op":"exists","value":true})"), keys_alone({})), "");
}

TEST(Unrecorded, WhatCannotChangeTheDecisionIsNotMissed) {
    const RecordedFacts both = keys_alone({"amount", "other"});
    EXPECT_EQ(missing(rule("deny_if", kAmount + "," + kNever), both), "") << "one condition is known not to hold";
    EXPECT_EQ(missing(rule("deny_if", kNever + "," + kAmount), both), "");
    EXPECT_EQ(missing(rule("deny_if", kAmount + "," + kAlways), both), "arguments");
    EXPECT_EQ(missing(rule("require", kNever + "," + kAmount), both), "") << "the first that does not hold decides";
    EXPECT_EQ(missing(rule("require", kAmount + "," + kNever), both), "arguments");
    EXPECT_EQ(missing(rule("deny_if", kAlways) + "," + rule("require", kAmount), both), "") << "denied before";
    EXPECT_EQ(missing(R"("action":"deny",)" + rule("require", kAmount), both), "");
    EXPECT_EQ(missing(rule("deny_if", kAmount), both, R"(,"hide":["t"])"), "");
    EXPECT_EQ(missing(rule("deny_if", kAmount) + R"(,"action":"require_approval")", both), "arguments");
}

TEST(Unrecorded, AmountsThatAreSummed) {
    const std::string limit = R"("limits":[{"counter":"c","window":"day","max":10,"increment_from":"args.amount"}])";
    EXPECT_EQ(missing(limit, keys_alone({"amount"})), "arguments");
    EXPECT_EQ(missing(limit, keys_alone({})), "") << "denied: there is no amount";
    EXPECT_EQ(missing(R"("limits":[{"counter":"c","window":"day","max":10}])", keys_alone({"amount"})), "");
    EXPECT_EQ(missing("", keys_alone({"amount"}), R"(,"all_tools":{)" + limit + "}"), "arguments");
}

TEST(Unrecorded, FactsOfTheCaller) {
    RecordedFacts facts;
    const std::string client = rule("require", R"({"path":"client.name","op":"eq","value":"x"})"),
                      user = rule("require", R"({"path":"server.user","op":"eq","value":"x"})");
    EXPECT_EQ(missing(client, facts), "");
    facts.has_client = false;
    EXPECT_EQ(missing(client, facts), "clientInfo");
    EXPECT_EQ(missing(user, facts), "");
    facts.has_server_user = false;
    EXPECT_EQ(missing(user, facts), "server.user");
    EXPECT_EQ(missing(rule("deny_if", R"({"path":"annotations.readOnlyHint","op":"eq","value":true})"), RecordedFacts()),
              "annotations");
}

TEST(Unrecorded, OtherMethods) {
    const auto judged = policy(
        R"("default":"deny","methods":{"resources/read":{"names":{"file:///a":{"deny_if":[{"conditions":[{"path":"args.uri","op":"contains","value":".."}]}]}}},
      "tasks/get":{"names":{"x":{}}},"sampling/createMessage":{"deny_if":[{"conditions":[{"path":"args.maxTokens","op":"gt","value":1}]}]}},
      "call_methods":{"tools/batch":"params.calls[*].name"})");
    const auto ask = [&](const std::string& method, const std::string& params, RecordedFacts facts, bool from_server = false) {
        TrialCall call;
        call.method = method;
        call.params = params;
        const Trial trial(call);
        return std::string(missing_facts(*judged, trial, facts, from_server));
    };
    RecordedFacts nothing;
    nothing.has_values = nothing.has_name = false;
    RecordedFacts uri = nothing;
    uri.has_uri = uri.has_name = true;
    EXPECT_EQ(ask("resources/read", R"({"uri":"file:///a"})", uri), "");
    EXPECT_EQ(ask("resources/read", R"({"uri":"file:///b"})", uri), "") << "not listed";
    EXPECT_EQ(ask("tasks/get", "{}", nothing), "arguments");
    EXPECT_EQ(ask("ping", "{}", nothing), "") << "nothing is said of it";
    EXPECT_EQ(ask("tools/batch", "{}", nothing), "arguments");
    EXPECT_EQ(ask("tools/batch", "{}", RecordedFacts()), "");
    EXPECT_EQ(ask("sampling/createMessage", "{}", nothing, true), "arguments");
}

}  // namespace
}  // namespace callgate
