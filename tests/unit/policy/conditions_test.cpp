// Conditions as a policy writes them, on arguments as a caller writes them: every operator, path form and strict rule.
#include <gtest/gtest.h>

#include "jsonrpc/answer.h"
#include "policy/policy.h"

namespace callgate {
namespace {

constexpr int64_t kMidnight = 1'767'225'600'000'000'000;

std::shared_ptr<const Policy> policy_with_tool(const std::string& rules) {
    std::vector<PolicyProblem> problems;
    auto policy = Policy::load(R"({"version":"1","default":"deny","tools":{"x":)" + rules + "}}", "p.json", problems);
    for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
    return policy;
}

class Conditions : public ::testing::Test {
  protected:
    void use(const std::string& rules) { policy_ = policy_with_tool(rules); }
    Verdict judge(std::string_view arguments) { return policy_->judge_tool({"x", arguments}, caller_, kMidnight, counters_); }
    std::string rule(std::string_view arguments) {
        const Verdict verdict = judge(arguments);
        return verdict.action == Action::allow ? "allow" : std::string(verdict.rule);
    }
    // Whether the one condition holds for these arguments; deny_if and require must agree on it.
    bool holds(const std::string& condition, std::string_view arguments) {
        use(R"({"deny_if":[{"conditions":[)" + condition + "]}]}");
        const bool denies = judge(arguments).action == Action::deny;
        use(R"({"require":[{"conditions":[)" + condition + "]}]}");
        EXPECT_EQ(judge(arguments).action == Action::allow, denies) << condition << " " << arguments;
        return denies;
    }
    static std::string condition(const std::string& path, const std::string& op, const std::string& value) {
        return R"({"path":")" + path + R"(","op":")" + op + R"(","value":)" + value + "}";
    }
    void expect_holds(const std::string& op, const std::string& value, const std::vector<std::string>& yes,
                      const std::vector<std::string>& no) {
        for (const std::string& seen : yes) {
            EXPECT_TRUE(holds(condition("args.v", op, value), "{\"v\":" + seen + "}")) << seen << " " << op << " " << value;
        }
        for (const std::string& seen : no) {
            EXPECT_FALSE(holds(condition("args.v", op, value), "{\"v\":" + seen + "}")) << seen << " " << op << " " << value;
        }
        if (op == "exists") return;
        for (const char* missing : {"", "{}", "{\"w\":1}", "{\"w\":{\"V\":1}}"}) {
            EXPECT_FALSE(holds(condition("args.v", op, value), missing)) << op << " " << value << " on " << missing;
        }
    }

    std::shared_ptr<const Policy> policy_;
    CounterTable counters_;
    Caller caller_{"g", "s", "p"};
};

TEST_F(Conditions, EqualityIsStrict) {
    expect_holds("eq", "1", {"1", "1.0", "1e0", "10E-1"}, {"\"1\"", "true", "2", "[1]", "{\"v\":1}", "null", "-1"});
    expect_holds("eq", "\"a\"", {"\"a\"", R"("\u0061")"}, {"\"A\"", "\"aa\"", "\"\"", "[\"a\"]", "0"});
    expect_holds("eq", "true", {"true"}, {"false", "1", "\"true\"", "null"});
    expect_holds("eq", "null", {"null"}, {"false", "0", "\"\"", "\"null\"", "{}", "[]"});
    expect_holds("eq", "9007199254740993", {"9007199254740993"}, {"9007199254740992", "9007199254740993.5"});
    expect_holds("eq", "18446744073709551615", {"18446744073709551615"}, {"18446744073709551616"});
    expect_holds("eq", "0.1", {"0.1", "1e-1", "0.10"}, {"0.10000000000000002"});
    expect_holds("neq", "1", {"2", "\"1\"", "true", "[1]", "{}", "null"}, {"1", "1.0"});
    expect_holds("neq", "\"a\"", {"\"b\"", "1", "[]"}, {"\"a\""});
}

TEST_F(Conditions, Lists) {
    expect_holds("in", R"(["a",2,true,null])", {"\"a\"", "2", "2.0", "true", "null"},
                 {"\"b\"", "\"2\"", "false", "[\"a\"]", "3"});
    expect_holds("not_in", R"(["a",2])", {"\"b\"", "\"2\"", "true", "[2]", "{}"}, {"\"a\"", "2e0"});
}

TEST_F(Conditions, Order) {
    expect_holds("gt", "10000", {"10001", "10000.000000000002", "1e5"},
                 {"10000", "9999", "\"20000\"", "true", "null", "[20000]"});
    expect_holds("gte", "10000", {"10000", "1e4"}, {"9999.999999999998", "\"10000\""});
    expect_holds("lt", "0", {"-1", "-0.0000001"}, {"0", "-0", "1", "\"-1\"", "null"});
    expect_holds("lte", "9223372036854775807", {"9223372036854775807", "-9223372036854775809"}, {"9223372036854775808", "\"1\""});
    expect_holds("lt", "1.5", {"1", "1.4999999999999998"}, {"1.5", "2", "15e-1"});
}

TEST_F(Conditions, WhatIsAnotherNumberToAServerIsDenied) {
    const auto expect_unclear = [&](const std::string& op, const std::string& value, const std::vector<std::string>& texts) {
        for (const char* kind : {"deny_if", "require", "require_approval"}) {
            use(std::string("{\"") + kind + R"(":[{"conditions":[)" + condition("args.v", op, value) + "]}]}");
            for (const std::string& text : texts) {
                EXPECT_EQ(rule("{\"v\":" + text + "}"), "(unclear arguments)")
                    << kind << " " << text << " " << op << " " << value;
            }
        }
    };
    for (const char* op : {"eq", "neq"}) {
        expect_unclear(op, "1", {"1.00000000000000001", "0.99999999999999999", "100000000000000000000000.1e-23"});
        expect_unclear(op, "0", {"1e-400", "-1e-400", "0." + std::string(400, '0') + "1"});
        expect_unclear(op, "0.1", {"0.1000000000000000055511151231257827"});
        expect_unclear(op, "9007199254740993", {"9007199254740992.0", "9007199254740992e0"});
        expect_unclear(op, "18446744073709551615", {"1.8446744073709552e19"});
    }
    for (const char* op : {"in", "not_in"}) expect_unclear(op, "[\"a\",7,1]", {"1.00000000000000001"});
    expect_unclear("gt", "10000", {"10000.000000000000000000001"});
    expect_unclear("gte", "10000", {"9999.99999999999999999999"});
    expect_unclear("lt", "1.5", {"1.4999999999999999999"});
    expect_unclear("lte", "0", {"1e-400"});
    expect_unclear("contains", "1", {"[2,1.00000000000000001]"});
    // It decides the same here, or is no number that is compared.
    expect_holds("gt", "10000", {}, {"9999.99999999999999999999"});
    expect_holds("lte", "0", {"-1e-400"}, {});
    expect_holds("eq", "\"1\"", {}, {"1.00000000000000001"});
    expect_holds("exists", "true", {"1.00000000000000001"}, {});
    use(R"({"deny_if":[{"conditions":[)" + condition("args.w", "eq", "1") + "]}]}");
    EXPECT_EQ(rule(R"({"v":1.00000000000000001,"w":2})"), "allow");
}

TEST_F(Conditions, Regex) {
    expect_holds("regex", R"("^/tmp/")", {"\"/tmp/x\"", R"("\u002ftmp/")"}, {"\"x/tmp/\"", "1", "[\"/tmp/x\"]", "null"});
    expect_holds("regex", R"("drop\\s+table")", {"\"a; drop  table b\""}, {"\"DROP TABLE\"", "\"droptable\""});
    expect_holds("regex", R"("(?i)drop")", {"\"xDROPx\""}, {"\"d\""});
    expect_holds("regex", R"("^\\p{L}+$")", {"\"\u00e9\u00df\""}, {"\"a1\""});
    expect_holds("regex", R"("^a.b$")", {R"("a\u0000b")"}, {"\"ab\""});
    // Linear: a backtracking matcher would be at it for years.
    expect_holds("regex", R"("(a*)*b")", {"\"aab\""}, {"\"" + std::string(100'000, 'a') + "\""});
}

TEST_F(Conditions, Contains) {
    expect_holds("contains", "\"../\"", {"\"a/../b\"", "[\"x\",\"../\"]"},
                 {"\"a\"", "[\"a/../b\"]", "{\"../\":1}", "1", "[[\"../\"]]"});
    expect_holds("contains", "3", {"[1,2,3.0]"}, {"\"3\"", "[\"3\"]", "3", "[]"});
    expect_holds("contains", "\"\"", {"\"\"", "\"a\""}, {"[]", "1"});
}

TEST_F(Conditions, Exists) {
    expect_holds("exists", "true", {"1", "\"\"", "null", "false", "[]", "{}"}, {});
    expect_holds("exists", "false", {}, {"1", "null", "{}"});
    for (const char* missing : {"", "{}", "{\"w\":{\"v\":1}}", "{\"vv\":1}"}) {
        EXPECT_FALSE(holds(condition("args.v", "exists", "true"), missing));
        EXPECT_TRUE(holds(condition("args.v", "exists", "false"), missing));
    }
}

TEST_F(Conditions, Paths) {
    const std::string is7 = R"(","op":"eq","value":7})";
    const auto at = [&](const std::string& path) { return R"({"path":")" + path + is7; };
    EXPECT_TRUE(holds(at("args.a.b"), R"({"a":{"b":7}})"));
    EXPECT_FALSE(holds(at("args.a.b"), R"({"a.b":7,"a":{"c":7},"b":7})"));
    EXPECT_TRUE(holds(at(R"(args.a\\.b)"), R"({"a.b":7})"));
    EXPECT_TRUE(holds(at("args.l.1"), R"({"l":[6,7]})"));
    EXPECT_FALSE(holds(at("args.l.1"), R"({"l":[7,6,7]})"));
    EXPECT_FALSE(holds(at("args.l.01"), R"({"l":[6,7]})"));
    EXPECT_FALSE(holds(at("args.l.-1"), R"({"l":[6,7]})"));
    EXPECT_TRUE(holds(at("args.l.1"), R"({"l":{"1":7}})"));
    EXPECT_TRUE(holds(at("args.l.*"), R"({"l":[1,[],7]})"));
    EXPECT_FALSE(holds(at("args.l.*"), R"({"l":[1,[7],{"a":7}]})"));
    EXPECT_TRUE(holds(at("args.l.*"), R"({"l":{"any":7}})"));
    EXPECT_FALSE(holds(at("args.l.*"), R"({"l":7})"));
    EXPECT_TRUE(holds(at("args.l.*.n"), R"({"l":[{"n":1},{"m":7},{"x":[],"n":7}]})"));
    EXPECT_TRUE(holds(at("args.*.*.0"), R"({"l":{"q":[7]}})"));
    EXPECT_TRUE(holds(at(R"(args.\\*)"), R"({"*":7})"));
    EXPECT_FALSE(holds(at(R"(args.\\*)"), R"({"a":7})"));
    EXPECT_TRUE(holds(at("args.caf\u00e9"), R"({"caf\u00e9":7})"));
    EXPECT_TRUE(holds(at("args.a"), R"({"\u0061":7})"));
    EXPECT_TRUE(holds(at("args.a.0.b.1"), R"( { "z" : [ [ ] , { } ] , "a" : [ { "b" : [ 0 , 7 ] } ] } )"));
}

// For `neq` and `not_in` one element that differs is enough.
TEST_F(Conditions, AStarAsksForOneElement) {
    EXPECT_TRUE(holds(condition("args.l.*", "neq", "7"), R"({"l":[7,8]})"));
    EXPECT_FALSE(holds(condition("args.l.*", "neq", "7"), R"({"l":[7,7]})"));
    EXPECT_FALSE(holds(condition("args.l.*", "neq", "7"), R"({"l":[]})"));
    EXPECT_TRUE(holds(condition("args.l.*", "exists", "false"), R"({"l":[]})"));
    EXPECT_FALSE(holds(condition("args.l.*", "exists", "false"), R"({"l":[1]})"));
}

TEST_F(Conditions, ManyNamesOfOneObject) {
    std::string conditions, arguments;
    for (int i = 0; i < 100; ++i) {
        const std::string name = "name" + std::to_string(i);
        conditions += (i ? "," : "") + condition("args." + name, "eq", std::to_string(i));
        arguments += std::string(i ? ",\"" : "\"") + name + "\":" + std::to_string(i);
    }
    use(R"({"require":[{"conditions":[)" + conditions + "]}]}");
    EXPECT_EQ(rule("{" + arguments + "}"), "allow");
    const size_t at = arguments.find("\"name57\":57");
    std::string wrong = arguments;
    wrong.replace(at, 11, "\"name57\":58");
    EXPECT_EQ(rule("{" + wrong + "}"), "/tools/x/require/args.name57-eq");
    wrong = arguments;
    wrong.replace(at, 11, "\"nbme57\":57");
    EXPECT_EQ(rule("{" + wrong + "}"), "/tools/x/require/args.name57-eq");
}

TEST_F(Conditions, AllConditionsOfAnEntryMustHold) {
    use(R"({"deny_if":[{"conditions":[{"path":"args.amount","op":"gt","value":10},{"path":"args.to","op":"eq","value":"eve"}],
            "on_deny":"Not to Eve."}]})");
    EXPECT_EQ(rule(R"({"amount":11,"to":"eve"})"), "/tools/x/deny_if/args.amount-gt");
    EXPECT_EQ(judge(R"({"amount":11,"to":"eve"})").reason, "Not to Eve.");
    EXPECT_EQ(judge(R"({"amount":11,"to":"eve"})").code, kCodeDenied);
    EXPECT_EQ(rule(R"({"amount":11,"to":"bob"})"), "allow");
    EXPECT_EQ(rule(R"({"amount":10,"to":"eve"})"), "allow");
    EXPECT_EQ(rule(R"({"to":"eve"})"), "allow");
    use(R"({"require":[{"conditions":[{"path":"args.a","op":"exists","value":true},{"path":"args.b","op":"exists","value":true}]}]})");
    EXPECT_EQ(rule(R"({"a":1,"b":1})"), "allow");
    EXPECT_EQ(rule(R"({"b":1})"), "/tools/x/require/args.a-exists");
    EXPECT_EQ(rule(R"({"a":1})"), "/tools/x/require/args.b-exists");
    EXPECT_EQ(rule(""), "/tools/x/require/args.a-exists");
    EXPECT_EQ(judge("").reason, "Tool \"x\" is called without what the policy requires.");
}

// Some readers, Go's among them, find "Amount" where "amount" is asked for.
TEST_F(Conditions, WhatALenientReaderTakesForAnArgumentIsDenied) {
    use(R"({"deny_if":[{"conditions":[{"path":"args.sum.ask","op":"gt","value":10}]}]})");
    EXPECT_EQ(rule(R"({"sum":{"ask":1},"other":{"ASK":99}})"), "allow");
    for (const char* arguments :
         {R"({"sum":{"Ask":99}})", R"({"sum":{"ask":1,"ASK":99}})", R"({"SUM":{"ask":99}})", R"({"sum":{"\u0041sk":99}})",
          R"({"sum":{"a\u017fk":99}})", "{\"sum\":{\"as\u212a\":99}}", R"({"sum":{"ask\u0000":99}})"}) {
        EXPECT_EQ(rule(arguments), "(unclear arguments)") << arguments;
        EXPECT_EQ(judge(arguments).code, -31403);
    }
    use(R"({"deny_if":[{"conditions":[{"path":"args.größe","op":"gt","value":10}]}]})");
    for (const char* arguments :
         {R"({"GRÖẞE":99})", R"({"GRÖSSE":99})", R"({"Größe":99})", R"({"gr\u00d6\u00dfe":99})", R"({"größe":1,"größE":99})"})
        EXPECT_EQ(rule(arguments), "(unclear arguments)") << arguments;
    EXPECT_EQ(rule(R"({"größe":1,"grosse":99})"), "allow");
    std::string many;
    for (int i = 0; i < 40; ++i) many += R"({"path":"args.Number_)" + std::to_string(i) + R"(","op":"gt","value":10},)";
    for (const char* last : {"x", "x\u00e4"}) {
        use(R"({"deny_if":[{"conditions":[)" + many + R"({"path":"args.)" + last + R"(","op":"gt","value":10}]}]})");
        for (int i = 0; i < 40; ++i) {
            const std::string end = "umber_" + std::to_string(i) + "\":99}";
            EXPECT_EQ(rule("{\"n" + end), "(unclear arguments)") << end;
            EXPECT_EQ(rule("{\"N\\u0055" + end.substr(1)), "(unclear arguments)") << end;
            EXPECT_EQ(rule("{\"N" + end), "allow") << end;
            EXPECT_EQ(rule("{\"Nn" + end), "allow") << end;
        }
        EXPECT_EQ(rule(R"({"number_7\u0000":99})"), "(unclear arguments)");
        EXPECT_EQ(rule(R"({"Number_40":99})"), "allow");
    }
    // Of a name that the policy itself knows there is no doubt; nor where no condition looks.
    use(R"({"deny_if":[{"conditions":[{"path":"args.a","op":"eq","value":1},{"path":"args.A","op":"eq","value":2}]}]})");
    EXPECT_EQ(rule(R"({"a":1,"A":3})"), "allow");
    use(R"({"deny_if":[{"conditions":[{"path":"args.*","op":"eq","value":1}]}]})");
    EXPECT_EQ(rule(R"({"a":2,"A":3})"), "allow");
}

TEST_F(Conditions, APatternsDotIsNoLineFeedUnlessItSaysSo) {
    use(R"({"deny_if":[{"conditions":[{"path":"args.a","op":"regex","value":"^rm.*/$"}]}]})");
    EXPECT_EQ(rule(R"({"a":"rm -r /"})"), "/tools/x/deny_if/args.a-regex");
    EXPECT_EQ(rule(R"({"a":"rm -r \n /"})"), "allow");
    EXPECT_EQ(rule(R"({"a":"x\nrm -r /"})"), "allow");
    EXPECT_EQ(rule(R"({"a":"rm -r /\n"})"), "allow");
    use(R"({"deny_if":[{"conditions":[{"path":"args.a","op":"regex","value":"(?s)^rm.*/$"}]}]})");
    EXPECT_EQ(rule(R"({"a":"rm -r \n /"})"), "/tools/x/deny_if/args.a-regex");
    use(R"({"deny_if":[{"conditions":[{"path":"args.a","op":"regex","value":"(?m)^rm.*/$"}]}]})");
    EXPECT_EQ(rule(R"({"a":"x\nrm -r /\ny"})"), "/tools/x/deny_if/args.a-regex");
}

TEST_F(Conditions, OneEntryIsEnoughToDeny) {
    use(R"({"deny_if":[{"conditions":[{"path":"args.a","op":"eq","value":1}]},{"conditions":[{"path":"args.b","op":"eq","value":1}]}],
            "require":[{"conditions":[{"path":"args.c","op":"exists","value":true}]},{"conditions":[]}]})");
    EXPECT_EQ(rule(R"({"c":0,"a":1})"), "/tools/x/deny_if/args.a-eq");
    EXPECT_EQ(rule(R"({"c":0,"b":1})"), "/tools/x/deny_if/args.b-eq");
    EXPECT_EQ(rule(R"({"b":1})"), "/tools/x/deny_if/args.b-eq");
    EXPECT_EQ(rule("{}"), "/tools/x/require/args.c-exists");
    EXPECT_EQ(rule(R"({"c":0})"), "allow");
}

// Many rules are not asked one by one; whichever denies is found all the same, and the first of several.
TEST_F(Conditions, EachOfManyRulesDenies) {
    constexpr int kRules = 20;
    const auto names = [](int i) { return "args.a" + std::to_string(i); };
    const auto entry = [](const std::string& conditions) { return R"({"conditions":[)" + conditions + "]}"; };
    std::string deny, require, all_hold = "\"z\":1";
    for (int i = 0; i < kRules; ++i) {
        const std::string comma = i ? "," : "";
        deny += comma + entry(condition(names(i), "eq", "1") + "," + condition(names(i) + "b", "exists", "false"));
        require += comma + entry(condition(names(i) + "c", "eq", "1") + "," + condition(names(i) + "d", "eq", "1"));
        all_hold += R"(,"a)" + std::to_string(i) + R"(c":1,"a)" + std::to_string(i) + R"(d":1)";
    }
    use(R"({"deny_if":[)" + deny + R"(],"require":[)" + require + "]}");
    EXPECT_EQ(rule("{" + all_hold + "}"), "allow");
    for (int i = 0; i < kRules; ++i) {
        const std::string name = "a" + std::to_string(i), holds = '"' + name + R"(":1,)" + all_hold;
        EXPECT_EQ(rule("{" + holds + "}"), "/tools/x/deny_if/args." + name + "-eq") << i;
        EXPECT_EQ(rule('{' + ('"' + name) + R"(b":0,)" + holds + "}"), "allow") << i;
        for (int k = i + 1; k < kRules; ++k) {
            EXPECT_EQ(rule(R"({"a)" + std::to_string(k) + R"(":1,)" + holds + "}"), "/tools/x/deny_if/args." + name + "-eq");
        }
        for (const char* part : {"c", "d"}) {
            std::string one_fails = all_hold;
            const std::string member = '"' + name + part + R"(":1)";
            one_fails.replace(one_fails.find(member) + member.size() - 1, 1, "2");
            EXPECT_EQ(rule("{" + one_fails + "}"), "/tools/x/require/args." + name + part + "-eq") << i;
        }
    }
}

TEST_F(Conditions, UnconditionalDenialGoesFirst) {
    use(R"({"deny_if":[{"conditions":[{"path":"args.a","op":"eq","value":1}]},{"conditions":[],"on_deny":"Never."}]})");
    EXPECT_EQ(judge(R"({"a":1})").reason, "Never.");
    EXPECT_EQ(rule("{}"), "/tools/x/deny_if");
}

TEST_F(Conditions, ApprovalComesAfterDenialsAndBeforeLimits) {
    use(R"({"deny_if":[{"conditions":[{"path":"args.a","op":"gt","value":100}]}],
            "require_approval":[{"conditions":[{"path":"args.a","op":"gt","value":10}],"on_deny":"Much money."}],
            "limits":[{"counter":"c","window":"day","max":1}]})");
    EXPECT_EQ(rule(R"({"a":101})"), "/tools/x/deny_if/args.a-gt");
    const Verdict verdict = judge(R"({"a":11})");
    EXPECT_EQ(verdict.rule, "/tools/x/require_approval/args.a-gt");
    EXPECT_EQ(verdict.code, kCodeApproval);
    EXPECT_EQ(verdict.reason, "Much money. A human must approve this call.");
    EXPECT_EQ(counters_.size(), 0u);
    EXPECT_EQ(rule(R"({"a":1})"), "allow");
    EXPECT_EQ(rule(R"({"a":1})"), "/tools/x/limits/c");
    EXPECT_EQ(rule(R"({"a":11})"), "/tools/x/require_approval/args.a-gt");
}

TEST_F(Conditions, FaqFormAsksForApproval) {
    use(R"({"action":"require_approval"})");
    EXPECT_EQ(rule("{}"), "/tools/x/action");
    EXPECT_EQ(judge("{}").code, -32003);
    EXPECT_EQ(judge("{}").reason, "Tool \"x\" needs the approval of a human.");
    use(R"({"action":"require_approval","reason":"Spends money.","deny_if":[{"conditions":[{"path":"args.a","op":"eq","value":1}]}]})");
    EXPECT_EQ(judge("{}").reason, "Spends money. A human must approve this call.");
    EXPECT_EQ(rule(R"({"a":1})"), "/tools/x/deny_if/args.a-eq");
    use(R"({"require_approval":[{"conditions":[]}]})");
    EXPECT_EQ(rule("{}"), "/tools/x/require_approval");
}

TEST_F(Conditions, FactsAboutTheCaller) {
    PeerIdentity peer;
    peer.process.pid = 7;
    peer.process.uid = 1000;
    peer.process.exe = "/usr/bin/node";
    peer.process.user = "alice";
    peer.process.cgroup = "/docker/" + std::string(64, 'b');
    ServerIdentity server;
    server.process.pid = 8;
    server.package.name = "some-server";
    server.command = "node some-server";
    caller_.peer = &peer;
    caller_.server_identity = &server;
    caller_.client_name = "claude-code";
    EXPECT_TRUE(holds(condition("peer.uid", "eq", "1000"), "{}"));
    EXPECT_FALSE(holds(condition("peer.uid", "eq", "\"1000\""), "{}"));
    EXPECT_TRUE(holds(condition("peer.exe", "regex", "\"/node$\""), ""));
    EXPECT_TRUE(holds(condition("peer.user", "in", R"(["alice","bob"])"), "{}"));
    EXPECT_TRUE(holds(condition("peer.container", "exists", "true"), "{}"));
    EXPECT_TRUE(holds(condition("grant.key", "eq", "\"g\""), "{}"));
    EXPECT_TRUE(holds(condition("server.package", "eq", "\"some-server\""), "{}"));
    EXPECT_TRUE(holds(condition("server.uid", "eq", "0"), "{}"));
    EXPECT_TRUE(holds(condition("client.name", "neq", "\"cursor\""), "{}"));
    EXPECT_FALSE(holds(condition("client.version", "neq", "\"1\""), "{}"));
    EXPECT_TRUE(holds(condition("client.version", "exists", "false"), "{}"));
    peer.process.pid = 0;
    EXPECT_FALSE(holds(condition("peer.uid", "neq", "0"), "{}"));
    // An argument of such a name is no fact.
    EXPECT_FALSE(holds(condition("peer.uid", "eq", "1000"), R"({"peer":{"uid":1000}})"));
}

TEST_F(Conditions, AnnotationsOfTheTool) {
    ToolAnnotations annotations;
    annotations.remember("x", R"({"readOnlyHint":true})");
    const std::string is_read_only = condition("annotations.readOnlyHint", "eq", "true");
    EXPECT_FALSE(holds(is_read_only, R"({"readOnlyHint":true})"));
    caller_.annotations = &annotations;
    EXPECT_TRUE(holds(is_read_only, "{}"));
    EXPECT_TRUE(policy_->asks_for_annotations());
    annotations.remember("x", "{}");
    EXPECT_FALSE(holds(is_read_only, "{}"));
    use(R"({"deny_if":[{"conditions":[{"path":"args.a","op":"eq","value":1}]}]})");
    EXPECT_FALSE(policy_->asks_for_annotations());
}

// A server may list a tool under one of its names only, and take calls of both.
TEST_F(Conditions, AnnotationsOfAToolUnderEitherName) {
    ToolAnnotations annotations;
    caller_.annotations = &annotations;
    const auto is_denied = [&](const char* kind, const std::string& conditions, const char* tool) {
        std::vector<PolicyProblem> problems;
        const std::string text = R"({"version":"1","default":"deny","aliases":{"rm":"delete"},"tools":{"delete":{")" +
                                 std::string(kind) + R"(":[)" + conditions + "]}}}";
        const auto policy = Policy::load(text, "p.json", problems);
        for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
        CounterTable counters;
        return policy->judge_tool({tool, "{}"}, caller_, 0, counters).action == Action::deny;
    };
    const std::string is_set = R"({"path":"annotations.x","op":"eq","value":true})";
    const std::string is_not_set = R"({"path":"annotations.x","op":"neq","value":true})";
    const auto when = [](const std::string& condition) { return R"({"conditions":[)" + condition + "]}"; };
    const struct {
        const char *alias, *own;  // what is listed
        bool deny_if, deny_if_not, require, require_not;
    } kRows[] = {
        {nullptr, R"({"x":true})", true, false, false, true},         {R"({"x":true})", nullptr, true, false, false, true},
        {R"({"x":false})", R"({"x":true})", true, true, true, true},  {R"({"x":true})", R"({"x":false})", true, true, true, true},
        {R"({"x":true})", R"({"x":true})", true, false, false, true},
    };
    for (const auto& row : kRows) {
        annotations = {};
        if (row.alias) annotations.remember("rm", row.alias);
        if (row.own) annotations.remember("delete", row.own);
        const auto place = ::testing::PrintToString(&row - kRows);
        EXPECT_EQ(is_denied("deny_if", when(is_set), "rm"), row.deny_if) << place;
        EXPECT_EQ(is_denied("deny_if", when(is_not_set), "rm"), row.deny_if_not) << place;
        EXPECT_EQ(is_denied("require_approval", when(is_set), "rm"), row.deny_if) << place;
        EXPECT_EQ(is_denied("require", when(is_set), "rm"), row.require) << place;
        EXPECT_EQ(is_denied("require", when(is_not_set), "rm"), row.require_not) << place;
    }
}

}  // namespace
}  // namespace callgate
