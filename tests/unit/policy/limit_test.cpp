// What a limit may say, and what it then does to calls.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jsonrpc/answer.h"
#include "policy/policy.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMidnight = 1'767'225'600 * kSecond;

std::string with_limit(const std::string& limit) {
    return R"({"version":"1","default":"deny","tools":{"x":{"limits":[)" + limit + "]}}}";
}

class Limits : public ::testing::Test {
  protected:
    static std::shared_ptr<const Policy> load(std::string_view text) {
        std::vector<PolicyProblem> problems;
        auto policy = Policy::load(text, "p.json", problems);
        for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
        return policy;
    }
    void use(std::string_view text) { policy_ = load(text); }
    void use_limit(const std::string& limit) { use(with_limit(limit)); }
    Verdict judge(std::string_view tool, int64_t now_ns = kMidnight) {
        return policy_->judge_tool({tool, arguments_}, caller_, now_ns, counters_);
    }
    std::string rule(std::string_view tool, int64_t now_ns = kMidnight) {
        const Verdict verdict = judge(tool, now_ns);
        return verdict.action == Action::allow ? "allow" : std::string(verdict.rule);
    }
    // Of a call of "x" with these arguments.
    Verdict pay(std::string_view arguments, int64_t now_ns = kMidnight) {
        arguments_ = arguments;
        return judge("x", now_ns);
    }

    std::shared_ptr<const Policy> policy_;
    CounterTable counters_;
    std::string_view arguments_;  // of the next calls
    Caller caller_{"uid:1000 exe:/usr/bin/node", "session-1", "p"};
};

TEST_F(Limits, SlidingWindowHasNoDoubleBurstAtItsEdge) {
    use_limit(R"({"counter":"c","window":"minute","max":2,"sliding":true})");
    EXPECT_EQ(rule("x", kMidnight + 59 * kSecond), "allow");
    EXPECT_EQ(rule("x", kMidnight + 59 * kSecond), "allow");
    EXPECT_EQ(rule("x", kMidnight + 60 * kSecond), "/tools/x/limits/c");
    const Verdict verdict = judge("x", kMidnight + 60 * kSecond);
    EXPECT_EQ(verdict.reason, "Limit of 2 calls a minute for \"x\" reached (counter c, per grant).");
    EXPECT_EQ(verdict.retry_after_ms, 60'000);  // the slice of six seconds that 59 s lies in, and a window
    EXPECT_EQ(rule("x", kMidnight + 120 * kSecond - 1), "/tools/x/limits/c");
    EXPECT_EQ(rule("x", kMidnight + 120 * kSecond), "allow");
}

// A counter of the host's that stands in a tool and in all of them counts a call once, and keeps what each says of it.
TEST_F(Limits, ACounterThatStandsTwiceCountsOnce) {
    const auto both = [](const std::string& all, const std::string& own) {
        return R"({"version":"1","default":"allow","all_tools":{"limits":[)" + all + R"(]},"tools":{"x":{"limits":[)" + own +
               "]}}}";
    };
    const std::string rest = R"(,"scope":"host"})";
    use(both(R"({"counter":"c","window":"hour","max":3)" + rest, R"({"counter":"c","window":"hour","max":2)" + rest));
    const Verdict first = judge("x");
    ASSERT_EQ(first.charged.size(), 1u);
    EXPECT_EQ(first.charged[0].count_after, 1);
    EXPECT_EQ(first.charged[0].max, 2);
    EXPECT_EQ(rule("x"), "allow");
    EXPECT_EQ(rule("x"), "/tools/x/limits/c");
    EXPECT_EQ(rule("y"), "allow");
    EXPECT_EQ(rule("y"), "/all_tools/limits/c");
    counters_.settle(first.charged, CallEnd::error);
    EXPECT_EQ(counters_.rows(kMidnight)[0].count, 2);
    EXPECT_EQ(rule("x"), "/tools/x/limits/c");
    EXPECT_EQ(rule("y"), "allow");
}

// Where the two differ in what a call counts, it counts the larger amount; and a failed one stays where one of them says so.
TEST_F(Limits, ACounterThatStandsTwiceCountsTheLargerAmount) {
    for (const bool own_is_larger : {true, false}) {
        counters_ = CounterTable();
        const std::string larger = R"({"counter":"c","window":"hour","max":9,"scope":"host","increment":4})";
        const std::string smaller = R"({"counter":"c","window":"hour","max":13,"scope":"host","count_failed":true})";
        use(R"({"version":"1","default":"allow","all_tools":{"limits":[)" + (own_is_larger ? smaller : larger) +
            R"(]},"tools":{"x":{"limits":[)" + (own_is_larger ? larger : smaller) + "]}}}");
        const Verdict first = judge("x");
        ASSERT_EQ(first.charged.size(), 1u);
        EXPECT_EQ(first.charged[0].count_after, 4);
        counters_.settle(first.charged, CallEnd::tool_error);
        EXPECT_EQ(rule("x"), "allow");
        EXPECT_EQ(rule("x"), own_is_larger ? "/tools/x/limits/c" : "/all_tools/limits/c");
        EXPECT_EQ(counters_.rows(kMidnight)[0].count, 8);
    }
    const std::string one = R"({"counter":"d","window":"hour","max":3,"scope":"host")";
    use(R"({"version":"1","default":"allow","all_tools":{"limits":[)" + one + R"(,"increment":4}]},"tools":{"x":{"limits":[)" +
        one + "}]}}}");
    const Verdict never = judge("x");
    EXPECT_EQ(never.action, Action::deny);
    EXPECT_FALSE(never.retry_after_ms) << "not even an empty window has room for it";
}

// Whoever runs the client has one count, under whatever names its program stands, and whatever sessions it opens.
TEST_F(Limits, AUserIsCountedWhateverHisProgramIs) {
    use_limit(R"({"counter":"c","window":"hour","max":1,"scope":"user"})");
    PeerIdentity peer;
    peer.process.pid = 7;
    peer.process.uid = 1000;
    caller_.peer = &peer;
    EXPECT_EQ(rule("x"), "allow");
    peer.process.exe = "/tmp/n1";
    caller_.grant = "uid:1000 exe:/tmp/n1";
    caller_.session = "session-2";
    const Verdict refused = judge("x");
    EXPECT_EQ(refused.rule, "/tools/x/limits/c");
    EXPECT_EQ(refused.reason, "Limit of 1 call an hour for \"x\" reached (counter c, per user).");
    peer.process.uid = 1001;
    EXPECT_EQ(rule("x"), "allow");
    // Clients on other hosts are one.
    peer.process.pid = 0;
    EXPECT_EQ(rule("x"), "allow");
    peer.process.uid = 0;
    EXPECT_EQ(rule("x"), "/tools/x/limits/c");
    caller_.peer = nullptr;
    EXPECT_EQ(rule("x"), "/tools/x/limits/c");
}

TEST_F(Limits, IncrementIsWhatOneCallCounts) {
    use_limit(R"({"counter":"c","window":"day","max":10,"increment":4})");
    EXPECT_EQ(rule("x"), "allow");
    EXPECT_EQ(judge("x").charged[0].count_after, 8);
    EXPECT_EQ(rule("x"), "/tools/x/limits/c");
    EXPECT_EQ(judge("x").reason, "Limit of 10 (each call counts 4) a day for \"x\" reached (counter c, per grant).");
}

TEST_F(Limits, AnArgumentIsSummed) {
    use_limit(R"({"counter":"spend","window":"day","max":100,"increment_from":"args.amount"})");
    EXPECT_EQ(pay(R"({"amount":60.5})").action, Action::allow);
    const Verdict refused = pay(R"({"amount":39.500001})");
    EXPECT_EQ(refused.rule, "/tools/x/limits/spend");
    EXPECT_EQ(refused.code, kCodeOverLimit);
    EXPECT_EQ(refused.reason, "Limit of 100 (sum of args.amount) a day for \"x\" reached (counter spend, per grant).");
    EXPECT_TRUE(refused.retry_after_ms);
    const Verdict last = pay(R"({"amount":39.5})");
    EXPECT_EQ(last.action, Action::allow);
    EXPECT_EQ(last.charged[0].count_after, 100 * int64_t{last.charged[0].scale});
    EXPECT_EQ(pay(R"({"amount":0.000001})").action, Action::deny);
    EXPECT_EQ(pay(R"({"amount":0})").action, Action::allow);
    // A day later there is room, but never for this.
    EXPECT_FALSE(pay(R"({"amount":101})", kMidnight + 86'400 * kSecond).retry_after_ms);
    EXPECT_EQ(pay(R"({"amount":100})", kMidnight + 86'400 * kSecond).action, Action::allow);
}

TEST_F(Limits, AmountsThatCannotBeSummedAreDeniedAndRefundNothing) {
    use_limit(R"({"counter":"spend","window":"day","max":100,"increment_from":"args.amount"})");
    EXPECT_EQ(pay(R"({"amount":100})").action, Action::allow);
    for (const char* arguments : {R"({"amount":-50})", R"({})", "", R"({"amount":"1"})", R"({"amount":null})",
                                  R"({"amount":0.0000001})", R"({"amount":1e400})", R"({"amount":[1]})"}) {
        const Verdict verdict = pay(arguments);
        EXPECT_EQ(verdict.action, Action::deny) << arguments;
        EXPECT_EQ(verdict.code, kCodeDenied) << arguments;
        EXPECT_EQ(verdict.rule, "/tools/x/limits/spend");
        EXPECT_FALSE(verdict.retry_after_ms);
        EXPECT_TRUE(verdict.charged.empty());
    }
    EXPECT_EQ(pay(R"({"amount":-50})").reason,
              "Argument \"args.amount\", which a limit sums (counter spend, per grant), is negative.");
    EXPECT_EQ(pay(R"({"amount":0.01})").code, kCodeOverLimit);
}

TEST_F(Limits, NothingIsChargedWhenAnAmountIsDenied) {
    use_limit(R"({"counter":"calls","window":"day","max":1},
                 {"counter":"spend","window":"day","max":100,"increment_from":"args.amount"})");
    EXPECT_EQ(pay("{}").code, kCodeDenied);
    EXPECT_EQ(pay(R"({"amount":101})").rule, "/tools/x/limits/spend");
    EXPECT_EQ(pay(R"({"amount":1})").action, Action::allow);
    EXPECT_EQ(pay(R"({"amount":1})").rule, "/tools/x/limits/calls");
}

TEST_F(Limits, InFlightCountsUntilTheCallIsOver) {
    use_limit(R"({"counter":"c","max_in_flight":2})");
    const Verdict first = judge("x"), second = judge("x");
    EXPECT_EQ(second.charged[0].count_after, 2);
    EXPECT_EQ(rule("x", kMidnight + 86'400 * kSecond), "/tools/x/limits/c");
    EXPECT_EQ(judge("x").reason, "Limit of 2 calls at a time for \"x\" reached (counter c, per grant).");
    EXPECT_FALSE(judge("x").retry_after_ms);
    counters_.settle(first.charged, CallEnd::done);
    const Verdict third = judge("x");
    EXPECT_EQ(third.action, Action::allow);
    EXPECT_EQ(rule("x"), "/tools/x/limits/c");
    counters_.settle(second.charged, CallEnd::error);
    counters_.release(third.charged);
    EXPECT_EQ(counters_.rows(kMidnight).size(), 0u);
}

TEST_F(Limits, FailedCallsCountWhereTheLimitSaysSo) {
    use_limit(R"({"counter":"kept","window":"day","max":9,"count_failed":true},{"counter":"given","window":"day","max":9})");
    const auto counts = [&] {
        std::string text;
        for (const auto& row : counters_.rows(kMidnight)) text += std::to_string(row.count) + " ";
        return text;
    };
    counters_.settle(judge("x").charged, CallEnd::done);
    EXPECT_EQ(counts(), "1 1 ");
    counters_.settle(judge("x").charged, CallEnd::tool_error);
    EXPECT_EQ(counts(), "1 2 ");  // ordered by key: given, kept
    counters_.settle(judge("x").charged, CallEnd::error);
    EXPECT_EQ(counts(), "1 2 ");
}

TEST_F(Limits, UnansweredCallsCountUnlessTheLimitSaysOtherwise) {
    use_limit(R"({"counter":"given","window":"day","max":9,"count_unanswered":false},{"counter":"kept","window":"day","max":9})");
    const auto counts = [&] {
        std::string text;
        for (const auto& row : counters_.rows(kMidnight)) text += std::to_string(row.count) + " ";
        return text;
    };
    counters_.settle(judge("x").charged, CallEnd::unanswered);
    EXPECT_EQ(counts(), "0 1 ");  // ordered by key: given, kept
    std::vector<CounterUse> charged = judge("x").charged;
    EXPECT_TRUE(counters_.cancel(charged));
    EXPECT_FALSE(counters_.cancel(charged));
    EXPECT_EQ(counts(), "0 2 ");
    counters_.settle(judge("x").charged, CallEnd::done);
    counters_.settle(charged, CallEnd::error);  // late
    EXPECT_EQ(counts(), "1 2 ");
}

TEST_F(Limits, ScopeToolCountsEachEntryApart) {
    use(R"({"version":"1","default":"allow",
            "all_tools":{"limits":[{"counter":"c","window":"day","max":1,"scope":"tool"}]},
            "tools":{"a":{},"glob:read_*":{}}})");
    EXPECT_EQ(rule("a"), "allow");
    caller_.grant = "uid:1001 exe:/usr/bin/node";
    EXPECT_EQ(rule("a"), "/all_tools/limits/c");
    EXPECT_EQ(rule("read_1"), "allow");
    EXPECT_EQ(rule("read_2"), "/all_tools/limits/c");
    // Names that a caller makes up share one.
    EXPECT_EQ(rule("made_up_1"), "allow");
    EXPECT_EQ(rule("made_up_2"), "/all_tools/limits/c");
    caller_.server = "q";
    EXPECT_EQ(rule("a"), "allow");
}

TEST_F(Limits, ScopeHostIsSharedByEveryServerAndTool) {
    use(R"({"version":"1","default":"deny","tools":{
            "a":{"limits":[{"counter":"mail","window":"day","max":2,"scope":"host"}]},
            "b":{"limits":[{"counter":"mail","window":"day","max":3,"scope":"host"}]},
            "c":{"limits":[{"counter":"post","window":"day","max":2,"scope":"host"}]},
            "d":{"limits":[{"counter":"mail","window":"hour","max":2,"scope":"host"}]}}})");
    EXPECT_EQ(rule("a"), "allow");
    caller_ = {"uid:1001 exe:/usr/bin/python3", "session-2", "q"};
    EXPECT_EQ(rule("a"), "allow");
    EXPECT_EQ(rule("a"), "/tools/a/limits/mail");
    EXPECT_EQ(rule("b"), "allow");  // what it allows itself is more
    EXPECT_EQ(rule("b"), "/tools/b/limits/mail");
    EXPECT_EQ(rule("c"), "allow");
    EXPECT_EQ(rule("d"), "allow");  // another window is another count
}

TEST_F(Limits, KindsOfOneNameNeverShareACount) {
    use(R"({"version":"1","default":"deny","tools":{
            "a":{"limits":[{"counter":"c","window":"day","max":1,"scope":"host"}]},
            "b":{"limits":[{"counter":"c","window":"day","max":1,"scope":"host","sliding":true}]},
            "x":{"limits":[{"counter":"c","window":"day","max":1,"scope":"host","increment_from":"args.n"}]},
            "d":{"limits":[{"counter":"c","max_in_flight":1,"scope":"host"}]}}})");
    arguments_ = R"({"n":1})";
    for (const char* tool : {"a", "b", "x", "d"}) EXPECT_EQ(rule(tool), "allow") << tool;
    for (const char* tool : {"a", "b", "x", "d"}) EXPECT_NE(rule(tool), "allow") << tool;
}

TEST_F(Limits, AllToolsMayHaveEveryKind) {
    use(R"({"version":"1","default":"allow","all_tools":{"limits":[
            {"counter":"now","max_in_flight":2},{"counter":"day","window":"day","max":3,"sliding":true}]}})");
    const Verdict a = judge("a"), b = judge("b");
    EXPECT_EQ(rule("c"), "/all_tools/limits/now");
    counters_.settle(a.charged, CallEnd::done);
    EXPECT_EQ(rule("c"), "allow");
    counters_.settle(b.charged, CallEnd::done);
    EXPECT_EQ(rule("d"), "/all_tools/limits/day");
}

std::string problem_with(const std::string& limit) {
    std::vector<PolicyProblem> problems;
    EXPECT_FALSE(Policy::load(with_limit(limit), "p.json", problems)) << limit;
    if (problems.size() != 1) return std::to_string(problems.size()) + " problems";
    return problems[0].text();
}

TEST(LimitLoader, SaysWhatIsWrongAndWhere) {
    const std::string base = R"("counter":"c","window":1,"max":1)";
    EXPECT_EQ(problem_with(R"({"counter":"c","max_in_flight":1,"window":1})"),
              "p.json:1:99: /tools/x/limits/0/window: not together with \"max_in_flight\", which counts the calls of this "
              "moment; make it a limit of its own");
    EXPECT_THAT(problem_with(R"({"counter":"c","max_in_flight":-1})"), HasSubstr("from 0 to 65536, found -1"));
    EXPECT_THAT(problem_with(R"({"counter":"c","max_in_flight":1,"sliding":true})"), HasSubstr("/sliding: not together"));
    EXPECT_THAT(problem_with(R"({"counter":"c","max_in_flight":1,"count_unanswered":false})"),
                HasSubstr("/count_unanswered: not together"));
    EXPECT_THAT(problem_with("{" + base + R"(,"count_unanswered":"no"})"), HasSubstr("/count_unanswered: expected"));
    EXPECT_THAT(problem_with("{" + base + R"(,"sliding":1})"), HasSubstr("/sliding: expected a boolean"));
    EXPECT_THAT(problem_with("{" + base + R"(,"increment":0})"), HasSubstr("/increment: expected an integer from 1"));
    EXPECT_THAT(problem_with("{" + base + R"(,"increment":1,"increment_from":"args.a"})"),
                HasSubstr("/increment: not together with \"increment_from\""));
    EXPECT_THAT(problem_with("{" + base + R"(,"increment_from":"amount"})"),
                HasSubstr("/increment_from: expected the path of an argument"));
    EXPECT_THAT(problem_with("{" + base + R"(,"increment_from":"args.a.*"})"), HasSubstr("name a single argument"));
    EXPECT_THAT(problem_with(R"({"counter":"c","window":1,"max":9000000000001,"increment_from":"args.a"})"),
                HasSubstr("from 0 to 9000000000000"));
    EXPECT_THAT(problem_with("{" + base + R"(,"on_exceed":"wait"})"), HasSubstr("expected \"deny\" or \"delay\""));
    EXPECT_THAT(problem_with("{" + base + R"(,"on_exceed":"delay"})"), HasSubstr("key \"max_delay_ms\" is missing"));
    EXPECT_THAT(problem_with("{" + base + R"(,"max_delay_ms":5})"), HasSubstr("only with \"on_exceed\": \"delay\""));
    EXPECT_THAT(problem_with("{" + base + R"(,"on_exceed":"delay","max_delay_ms":600001})"), HasSubstr("from 1 to 600000"));
    EXPECT_THAT(problem_with("{" + base + R"(,"count_failed":"yes"})"), HasSubstr("/count_failed: expected"));
    EXPECT_THAT(problem_with("{" + base + R"(,"incremnt":1})"), HasSubstr("did you mean \"increment\"?"));
}

}  // namespace
}  // namespace callgate
