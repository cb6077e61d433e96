// The YAML dialect: what each construct becomes, that it decides as POLICY.md says, and that mistakes are
// told in its words.
#include "policy/intercept_dialect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jsonrpc/answer.h"
#include "policy/dialect.h"
#include "policy/json_text.h"
#include "policy/policy.h"

namespace callgate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kHead[] = "version: \"1\"\n";

// The native tree as one line, without what every file has.
std::string native(const std::string& text) {
    ProblemList problems;
    const auto tree = read_policy_tree(kHead + text, "p.yaml", problems);
    std::vector<PolicyProblem> found;
    problems.report(text, "p.yaml", found);
    for (const PolicyProblem& problem : found) ADD_FAILURE() << problem.text();
    std::string out;
    if (!tree) return out;
    for (char c : json_text(*tree)) {
        if (c != '\n' && !(c == ' ' && (out.ends_with(' ') || out.ends_with('{')))) out += c;
    }
    return out;
}

std::vector<std::string> problems_of(const std::string& text) {
    std::vector<PolicyProblem> problems;
    const auto policy = Policy::load(text, "p.yaml", problems);
    EXPECT_EQ(policy == nullptr, !problems.empty());
    std::vector<std::string> out;
    for (const PolicyProblem& problem : problems) out.push_back(problem.text());
    return out;
}
// Of one rule of the tool x; with "p.yaml:LINE:COLUMN: ".
std::string problem_of_rule(const std::string& rule) {
    const std::vector<std::string> problems = problems_of(kHead + ("tools: {x: {rules: [" + rule + "]}}\n"));
    return problems.size() == 1 ? problems[0] : "not one problem, but " + std::to_string(problems.size());
}

class Intercept : public ::testing::Test {
  protected:
    void use(const std::string& text) {
        std::vector<PolicyProblem> problems;
        policy_ = Policy::load(kHead + text, "p.yaml", problems);
        for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
        counters_ = CounterTable();
    }
    Verdict judge(std::string_view tool, std::string_view arguments = "{}") {
        return policy_->judge_tool({tool, arguments}, caller_, 0, counters_);
    }
    std::string rule(std::string_view tool, std::string_view arguments = "{}") {
        return std::string(judge(tool, arguments).rule);
    }

    std::shared_ptr<const Policy> policy_;
    CounterTable counters_;
    Caller caller_{"g", "s", "p"};
};

TEST_F(Intercept, ConditionsMustBeTrue) {
    use("tools:\n  pay:\n    rules:\n      - name: cap\n        conditions:\n"
        "          - {path: args.amount, op: lte, value: 50000}\n          - {path: args.to, op: exists, "
        "value: true}\n"
        "        on_deny: Too much.\n");
    EXPECT_EQ(rule("pay", R"({"amount":50000,"to":1})"), "");
    EXPECT_EQ(rule("pay", R"({"amount":50000.5,"to":1})"), "/tools/pay/require/args.amount-lte");
    EXPECT_EQ(rule("pay", R"({"amount":1})"), "/tools/pay/require/args.to-exists");
    // What is not there meets nothing, and texts are no numbers.
    EXPECT_EQ(rule("pay", R"({"to":1})"), "/tools/pay/require/args.amount-lte");
    EXPECT_EQ(rule("pay", R"({"amount":"1","to":1})"), "/tools/pay/require/args.amount-lte");
    EXPECT_EQ(judge("pay").reason, "Too much.");
    EXPECT_EQ(judge("pay").code, kCodeDenied);
    EXPECT_EQ(rule("anything else"), "");  // default allow
}

TEST_F(Intercept, DenyHideAndDefault) {
    use("default: deny\nhide: [h]\ntools:\n  never: {rules: [{name: r, action: deny, on_deny: Never.}]}\n  "
        "ok: {rules: []}\n"
        "  h: {rules: []}\n  plain: {}\n");
    EXPECT_EQ(rule("never"), "/tools/never/deny_if");
    EXPECT_EQ(judge("never").reason, "Never.");
    EXPECT_EQ(rule("h"), "(hidden)");
    EXPECT_EQ(rule("other"), "(default deny)");
    EXPECT_EQ(rule("ok"), "");
    EXPECT_EQ(rule("plain"), "");
}

TEST_F(Intercept, ConditionsOfAnApprovalMatch) {
    use("tools:\n  pay:\n    rules:\n      - {name: large, action: require_approval, conditions: [{path: "
        "args.amount, op: gt, value: 9}]}\n"
        "  wire: {rules: [{name: always, action: require_approval, on_deny: Ask Ann.}]}\n");
    EXPECT_EQ(rule("pay", R"({"amount":9})"), "");
    EXPECT_EQ(rule("pay", "{}"), "");
    EXPECT_EQ(judge("pay", R"({"amount":10})").code, kCodeApproval);
    EXPECT_EQ(rule("wire"), "/tools/wire/require_approval");
    EXPECT_THAT(std::string(judge("wire").reason), StartsWith("Ask Ann."));
}

TEST_F(Intercept, StateCounts) {
    use("tools:\n  pay:\n    rules:\n      - name: spend\n        conditions: [{path: state.pay.daily, op: "
        "lte, value: 100}]\n"
        "        state: {counter: daily, window: day, increment_from: args.amount}\n        on_deny: Spent.\n"
        "      - name: calls\n        conditions: [{path: state.pay.calls, op: lt, value: 8}, {path: "
        "args.amount, op: gt, value: 0}]\n"
        "        state: {counter: calls, window: hour, increment: 2}\n");
    EXPECT_EQ(rule("pay", R"({"amount":60})"), "");
    EXPECT_EQ(rule("pay", R"({"amount":60})"), "/tools/pay/limits/daily");
    EXPECT_EQ(judge("pay", R"({"amount":60})").reason, "Spent.");
    EXPECT_EQ(rule("pay", R"({"amount":40})"), "");
    EXPECT_EQ(rule("pay", R"({"amount":0})"), "/tools/pay/require/args.amount-gt");
    use("tools: {a: {rules: [{name: r, conditions: [{path: state.a.c, op: lt, value: 8}], state: {counter: "
        "c, window: hour, increment: 2}}]}}\n");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(rule("a"), "");
    EXPECT_EQ(rule("a"), "/tools/a/limits/c");
    // One count for all callers of the server.
    caller_ = {"another", "session", "p"};
    EXPECT_EQ(rule("a"), "/tools/a/limits/c");
}

// As such policies are published: "increment: 1" beside "increment_from", and rules with names of one letter.
TEST_F(Intercept, AWholePolicy) {
    use(R"(description: text
default: allow
hide: [transfer_repo]
approval_timeout: "30m"
approvals: {dedupe_window: "10m", notify: {webhook: {url: "https://example.com/hook"}}}
tools:
  create_charge:
    rules:
      - name: cap
        action: evaluate
        conditions:
          - {path: args.amount, op: lte, value: 50000}
        on_deny: text
      - name: spend
        conditions: [{path: state.create_charge.daily, op: lte, value: 100000}]
        state: {counter: daily, window: day, increment: 1, increment_from: args.amount}
  create_issue: { rules: [ {name: n, rate_limit: 5/hour} ] }
  read: { rules: [] }
  wire: { rules: [ {name: w, action: require_approval, conditions: [{path: args.amount, op: gt, value: 10}]} ] }
  never: { rules: [ {name: d, action: deny} ] }
  "*": { rules: [ {name: g, rate_limit: 60/minute} ] }
)");
    EXPECT_EQ(rule("create_charge", R"({"amount":50001})"), "/tools/create_charge/require/args.amount-lte");
    EXPECT_EQ(rule("create_charge", R"({"amount":50000})"), "");
    EXPECT_EQ(rule("create_charge", R"({"amount":50000})"), "");
    EXPECT_EQ(rule("create_charge", R"({"amount":1})"), "/tools/create_charge/limits/daily");
    EXPECT_EQ(rule("transfer_repo"), "(hidden)");
    EXPECT_EQ(rule("never"), "/tools/never/deny_if");
    EXPECT_EQ(rule("wire", R"({"amount":11})"), "/tools/wire/require_approval/args.amount-gt");
    for (int i = 0; i < 5; ++i) EXPECT_EQ(rule("create_issue"), "");
    EXPECT_EQ(rule("create_issue"), "/tools/create_issue/limits/_rate_hour");
    for (int i = 0; i < 53; ++i) EXPECT_EQ(rule(i % 2 ? "read" : "other"), "");
    EXPECT_EQ(rule("read"), "/all_tools/limits/_rate_minute");
}

TEST_F(Intercept, TheSmallestMaximumHolds) {
    use("tools:\n  a:\n    rules:\n      - {name: r, conditions: [{path: state.a.c, op: lte, value: 5}], "
        "state: {counter: c, window: day}, on_deny: Five.}\n"
        "      - {name: m, conditions: [{path: state.a.c, op: lt, value: 3}], on_deny: Two.}\n");
    EXPECT_EQ(rule("a"), "");
    EXPECT_EQ(rule("a"), "");
    EXPECT_EQ(judge("a").reason, "Two.");
}

TEST_F(Intercept, StarIsEveryTool) {
    use("default: deny\ntools:\n  a: {rules: [{name: r, rate_limit: 5/hour}]}\n  b: {}\n  \"*\":\n    "
        "rules:\n      - {name: all, rate_limit: 2/minute, on_deny: Slow down.}\n"
        "      - {name: who, conditions: [{path: client.name, op: neq, value: bad}]}\n"
        "      - {name: sum, conditions: [{path: state._global.sum, op: lte, value: 9}], state: {counter: "
        "sum, window: day}}\n");
    caller_.client_name = "good";
    EXPECT_EQ(rule("a"), "");
    EXPECT_EQ(rule("b"), "");
    EXPECT_EQ(rule("a"), "/all_tools/limits/_rate_minute");
    EXPECT_EQ(judge("b").reason, "Slow down.");
    EXPECT_EQ(rule("c"), "(default deny)");
    caller_.client_name = "bad";
    EXPECT_EQ(rule("b"), "/all_tools/require/client.name-neq");
}

TEST_F(Intercept, TheRestIsNative) {
    use("mode: shadow\nserver: {package: x}\naliases: {other: a}\ntools: {a: {rules: [{name: r, action: "
        "deny}]}, \"glob:r_*\": {rules: [{name: r, rate_limit: 1/day}]}}\n");
    EXPECT_EQ(policy_->mode(), Mode::shadow);
    EXPECT_EQ(policy_->match().package, "x");
    EXPECT_EQ(policy_->name(), "p");
    EXPECT_EQ(rule("other"), "/tools/a/deny_if");
    EXPECT_EQ(rule("r_1"), "");
    EXPECT_EQ(rule("r_2"), "/tools/glob:r_*/limits/_rate_day");
}

TEST_F(Intercept, ApprovalsGoToTheNativeMembers) {
    EXPECT_THAT(native("approval_timeout: 1h\napprovals: {dedupe_window: 5m, notify: {webhook: {url: \"https://a\"}}}\n"
                       "tools: {a: {rules: [{name: r, action: require_approval, approval_timeout: 30m}]}}\n"),
                HasSubstr("\"approval_timeout\": \"1h\", \"approvals\": {\"dedupe_window\": \"5m\", \"notify\": "
                          "{\"webhook\": {\"url\": "
                          "\"https://a\"}}}, \"tools\": {\"a\": {\"require_approval\": [{\"$comment\": \"r\", "
                          "\"conditions\": []}], "
                          "\"approval_timeout\": \"30m\"}}"));
}

TEST_F(Intercept, TheSyntaxDoesNotMatter) {
    std::vector<PolicyProblem> problems;
    const auto json =
        Policy::load(R"({"version":"1","tools":{"a":{"rules":[{"name":"n","action":"deny"}]}}})", "p.json", problems);
    ASSERT_TRUE(json) << problems.front().text();
    EXPECT_EQ(json->judge_tool({"a", "{}"}, caller_, 0, counters_).rule, "/tools/a/deny_if");
    // The native dialect in YAML.
    use("default: deny\ntools:\n  a:\n    limits:\n      - {counter: c, window: day, max: 0}\n");
    EXPECT_EQ(rule("a"), "/tools/a/limits/c");
    EXPECT_EQ(rule("b"), "(default deny)");
    EXPECT_THAT(problems_of("version: \"1\"\ntools: {a: {}}\n"), ElementsAre("p.yaml:1:1: key \"default\" is missing"));
}

TEST(InterceptProblems, AreToldAsTheFileIsWritten) {
    EXPECT_THAT(problems_of(R"(version: "1"
defualt: deny
tools:
  a:
    rules:
      - name: one
        conditions:
          - {path: state.a.number, op: lte, value: 3}
          - {path: args.x, opp: eq, value: 1}
          - {path: args.y, op: regex, value: "("}
        state: {counter: number, window: fortnight}
  b/c:
    rules:
      - {nam: two, action: dney}
)"),
                ElementsAre("p.yaml:2:1: /defualt: unknown key \"defualt\"; did you mean \"default\"?",
                            "p.yaml:9:13: /tools/a/rules/0/conditions/1: key \"op\" is missing",
                            "p.yaml:9:28: /tools/a/rules/0/conditions/1/opp: unknown key \"opp\"; did you mean \"op\"?",
                            HasSubstr("p.yaml:10:46: /tools/a/rules/0/conditions/2/value: is no regular expression of RE2"),
                            HasSubstr("p.yaml:11:42: /tools/a/rules/0/state/window: expected \"second\""),
                            "p.yaml:14:9: /tools/b~1c/rules/0: key \"name\" is missing",
                            "p.yaml:14:9: /tools/b~1c/rules/0: key \"conditions\" is missing; a rule that evaluates has at "
                            "least one",
                            "p.yaml:14:10: /tools/b~1c/rules/0/nam: unknown key \"nam\"; did you mean \"name\"?",
                            HasSubstr("p.yaml:14:28: /tools/b~1c/rules/0/action: expected \"evaluate\", \"deny\" or "
                                      "\"require_approval\"")));
}

TEST(InterceptProblems, WhatMayNotStandTogether) {
    const std::string condition = "{path: args.x, op: eq, value: 1}";
    const std::string state = "state: {counter: c, window: day}";
    EXPECT_THAT(problem_of_rule("{name: r, rate_limit: 5/hour, conditions: [" + condition + "]}"),
                HasSubstr("/tools/x/rules/0/rate_limit: not together with \"conditions\""));
    EXPECT_THAT(problem_of_rule("{name: r, rate_limit: 5/hour, " + state + "}"), HasSubstr("not together with \"state\""));
    EXPECT_THAT(problem_of_rule("{name: r, rate_limit: 5/hour, action: deny}"), HasSubstr("not together with action: deny"));
    EXPECT_THAT(problem_of_rule("{name: r, rate_limit: 5/hour, action: require_approval}"),
                HasSubstr("not together with action: require_approval"));
    EXPECT_THAT(problem_of_rule("{name: r, action: deny, conditions: [" + condition + "]}"),
                HasSubstr("/rules/0/conditions: a rule with action: deny denies every call"));
    EXPECT_THAT(problem_of_rule("{name: r, action: deny, " + state + "}"),
                HasSubstr("/rules/0/state: only a rule that evaluates counts"));
    EXPECT_THAT(problem_of_rule("{name: r}"), HasSubstr("key \"conditions\" is missing"));
    EXPECT_THAT(problem_of_rule("{name: r, conditions: []}"), HasSubstr("/rules/0/conditions: is empty"));
    EXPECT_THAT(problem_of_rule("{name: r, action: deny, approval_timeout: 5m}"),
                HasSubstr("/approval_timeout: means something only with"));
    EXPECT_THAT(problem_of_rule("{name: r, rate_limit: 5/hour}, {name: m, rate_limit: 6/hour}"),
                HasSubstr("/tools/x/rules/1/rate_limit: counts in \"_rate_hour\" as /tools/x/rules/0/rate_limit does"));
    EXPECT_THAT(problems_of("version: \"1\"\nall_tools: {}\ntools: {x: {rules: []}}\n"),
                ElementsAre(HasSubstr("p.yaml:2:1: /all_tools: what holds for every tool")));
    EXPECT_THAT(problems_of("version: \"1\"\ntools: {x: {rules: []}, z: {limits: []}}\n"),
                ElementsAre(HasSubstr("/tools/z/limits: unknown key")));
}

TEST(InterceptProblems, WhatACounterCannotDo) {
    const auto with = [](const std::string& condition) {
        return problem_of_rule("{name: r, conditions: [" + condition +
                               ", {path: state.x.c, op: lte, value: 1}], state: {counter: c, window: day}}");
    };
    EXPECT_THAT(problem_of_rule("{name: r, conditions: [{path: state.x.daily, op: lte, value: 1}, {path: "
                                "state.x.daly, op: lte, value: 1}], "
                                "state: {counter: daily, window: day}}"),
                HasSubstr("no rule of this tool counts \"daly\"; did you mean \"daily\"?"));
    EXPECT_THAT(with("{path: state.y.c, op: lte, value: 1}"),
                HasSubstr("/rules/0/conditions/0/path: is no counter of this tool, which are called state.x.NAME"));
    EXPECT_THAT(with("{path: state._global.c, op: lte, value: 1}"), HasSubstr("is no counter of this tool"));
    EXPECT_THAT(with("{path: state.x.other, op: lte, value: 1}"),
                HasSubstr("no rule of this tool counts \"other\"; add state: {counter: other, window: day} to one"));
    EXPECT_THAT(with("{path: state.x.c, op: gte, value: 1}"), HasSubstr("/conditions/0/op: a counter can only have a maximum"));
    EXPECT_THAT(with("{path: state.x.c, op: lte, value: 1.5}"), HasSubstr("/conditions/0/value: expected an integer"));
    EXPECT_THAT(with("{path: state.x.c, op: lt, value: 0}"), HasSubstr("expected an integer from 1"));
    EXPECT_THAT(problem_of_rule("{name: r, conditions: [{path: args.x, op: eq, value: 1}], state: {counter: c, window: day}}"),
                HasSubstr("/rules/0/state: counts, but nothing says how much it may be"));
    EXPECT_THAT(problem_of_rule("{name: r, action: require_approval, conditions: [{path: state.x.c, op: gt, value: 1}]}"),
                HasSubstr("/conditions/0: a counter can only be compared by a rule that evaluates"));
    for (const char* rate : {"5", "5/", "/hour", "0/hour", "-1/hour", "5.5/hour", "5 / hour", "5/hours", "many/hour", "[5]"}) {
        EXPECT_THAT(problem_of_rule("{name: r, rate_limit: " + std::string(rate) + "}"),
                    HasSubstr("/tools/x/rules/0/rate_limit: expected "))
            << rate;
    }
    EXPECT_THAT(problem_of_rule("{name: r, rate_limit: 9007199254740992/day}"),
                HasSubstr("/tools/x/rules/0/rate_limit: expected an integer from 0 to"));
}

}  // namespace
}  // namespace callgate
