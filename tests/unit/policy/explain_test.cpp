// The steps that are told agree with the verdict that is given.
#include "policy/explain.h"

#include <gtest/gtest.h>

#include <random>

namespace callgate {
namespace {

constexpr char kPolicy[] = R"({"version":"1","default":"deny","hide":["h"],"aliases":{"b":"a"},
    "all_tools":{"limits":[{"counter":"all","window":"day","max":5}],"deny_if":[{"conditions":[{"path":"args.no","op":"eq","value":1}]}],
                 "require_approval":[{"conditions":[{"path":"args.no","op":"eq","value":2}]}]},
    "tools":{"a":{"deny_if":[{"conditions":[{"path":"args.x","op":"gt","value":1},{"path":"args.y","op":"exists","value":true}]}],
                  "require":[{"conditions":[{"path":"args.l.*","op":"contains","value":"ok"}]}],
                  "require_approval":[{"conditions":[{"path":"args.x","op":"eq","value":1}]}]},
             "d":{"action":"deny"},"e":{},"w":{"require_approval":[{"conditions":[]}]},"z":{"limits":[{"counter":"c","window":"day","max":0}]}},
    "methods":{"resources/read":{"names":{"u":{},"v":{"action":"deny"}}},"sampling/*":{"action":"deny"}},
    "call_methods":{"tools/batch":"params.calls[*].name"}})";

std::shared_ptr<const Policy> policy() {
    std::vector<PolicyProblem> problems;
    auto loaded = Policy::load(kPolicy, "p.json", problems);
    EXPECT_TRUE(loaded) << problems.front().text();
    return loaded;
}

TrialCall tool(const std::string& name, const std::string& arguments = "{}") {
    TrialCall call;
    call.name = name;
    call.arguments = arguments;
    return call;
}
TrialCall method(const std::string& name, const std::string& params, bool from_server = false) {
    TrialCall call;
    call.method = name;
    call.params = params;
    call.from_server = from_server;
    return call;
}

TEST(Explain, TheStepThatDecidesIsTheVerdicts) {
    const auto loaded = policy();
    const std::string ok = R"("l":[["ok"]])";
    const std::vector<TrialCall> calls = {
        tool("a"),
        tool("a", "{" + ok + "}"),
        tool("a", "{" + ok + R"(,"x":2,"y":0})"),
        tool("b", R"({"x":2,"y":0})"),
        tool("a", "{" + ok + R"(,"x":1})"),
        tool("d"),
        tool("w"),
        tool("z"),
        tool("h"),
        tool("none"),
        tool("a", R"({"X":1})"),
        tool("e", R"({"NO":1})"),
        tool("w", R"({"no":1})"),
        tool("w", R"({"no":2})"),
        tool("e", R"({"no":1})"),
        tool("e", R"({"no":2})"),
        tool("e"),
        method("resources/read", R"({"uri":"u"})"),
        method("resources/read", R"({"uri":"v"})"),
        method("resources/read", R"({"uri":"w"})"),
        method("sampling/createMessage", "{}", true),
        method("roots/list", "{}", true),
        method("tools/x", "{}"),
        method("ping", "{}"),
        method("tools/batch", R"({"calls":[{"name":"d"}]})"),
        method("tools/batch", R"({"calls":[{"name":"a","arguments":{)" + ok + "}}]}"),
        method("tools/batch", R"({"calls":[{"name":"a","arguments":{)" + ok + R"(}},{"name":"h"}]})"),
        method("tools/batch", "{}")};
    for (const TrialCall& call : calls) {
        const Trial trial(call);
        ASSERT_NE(trial.message().kind, MessageKind::invalid);
        CounterTable counters;
        Verdict verdict;
        trial.judge(*loaded, 0, counters, verdict);
        const std::vector<ExplainedStep> steps = explain(*loaded, trial, call.from_server);
        ASSERT_FALSE(steps.empty());
        for (size_t i = 0; i + 1 < steps.size(); ++i) EXPECT_FALSE(steps[i].decides);
        EXPECT_EQ(steps.back().decides, verdict.action == Action::deny)
            << call.method << call.name << call.arguments << call.params;
    }
}

TEST(Explain, ConditionsSayWhetherSomethingIsThere) {
    const auto loaded = policy();
    const TrialCall call = tool("a", R"({"x":2,"l":["no"]})");
    const Trial trial(call);
    const std::vector<ExplainedStep> steps = explain(*loaded, trial, false);
    ASSERT_EQ(steps.size(), 4u);
    EXPECT_EQ(steps[2].at, "/tools/a/deny_if/0");
    EXPECT_EQ(steps[2].outcome, "does not deny");
    ASSERT_EQ(steps[2].conditions.size(), 2u);
    EXPECT_TRUE(steps[2].conditions[0].holds && steps[2].conditions[0].is_there);
    EXPECT_FALSE(steps[2].conditions[1].holds || steps[2].conditions[1].is_there);
    EXPECT_EQ(steps[3].at, "/tools/a/require/0");
    EXPECT_EQ(steps[3].outcome, "denies");
    EXPECT_TRUE(steps[3].conditions[0].is_there);
    EXPECT_EQ(steps[3].conditions[0].value, "\"ok\"");
}

TEST(Explain, ToolsThatArePinnedWithoutAnEntry) {
    for (const char* by_default : {"allow", "deny"}) {
        std::vector<PolicyProblem> problems;
        const auto loaded =
            Policy::load(std::string(R"({"version":"1","pin":true,"default":")") + by_default + "\"}", "p.json", problems);
        ASSERT_TRUE(loaded) << problems.front().text();
        const std::vector<ExplainedStep> steps = explain(*loaded, Trial(tool("any")), false);
        EXPECT_EQ(steps[1].at, "/pin");
        EXPECT_EQ(steps.back().decides, by_default == std::string("deny"));
    }
}

TEST(Explain, ACarriersCallsAreToldOneByOne) {
    const auto loaded = policy();
    const TrialCall call = method("tools/batch", R"({"calls":[{"name":"a","arguments":{"l":[["ok"]]}},{"name":"h"}]})");
    const std::vector<ExplainedStep> steps = explain(*loaded, Trial(call), false);
    EXPECT_EQ(steps.back().at, "call 2, \"h\": hidden");
}

TEST(Explain, ApprovalIsAskedForWhereNothingElseDenies) {
    std::vector<PolicyProblem> problems;
    const auto loaded = Policy::load(R"({"version":"1","default":"deny","approval_timeout":"1h",
        "tools":{"w":{"action":"require_approval","hold_ms":500,"approval_timeout":"90s"}},
        "methods":{"resources/read":{"action":"require_approval","names":{"u":{},"v":{"action":"deny"}}}}})",
                                     "p.json", problems);
    ASSERT_TRUE(loaded) << problems.front().text();
    const auto last = [&](const TrialCall& call) { return explain(*loaded, Trial(call), false).back(); };
    EXPECT_EQ(last(tool("w")).at, "approval");
    EXPECT_EQ(
        last(tool("w")).outcome,
        "the call waits 500 ms for the decision; without one it is answered with -32003 and an id to approve, which is good for 90 s");
    EXPECT_EQ(last(method("resources/read", R"({"uri":"u"})")).outcome,
              "without one it is answered with -32003 and an id to approve, which is good for 3600 s");
    EXPECT_EQ(last(method("resources/read", R"({"uri":"v"})")).outcome, "denies every call");
}

}  // namespace
}  // namespace callgate
