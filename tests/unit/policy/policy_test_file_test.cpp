#include "policy/policy_test_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace callgate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::shared_ptr<const Policy> policy() {
    std::vector<PolicyProblem> problems;
    auto loaded = Policy::load(
        R"({"version":"1","default":"deny","hide":["h"],"methods":{"sampling/createMessage":{"action":"deny"}},"tools":{
        "a":{"limits":[{"counter":"c","window":"minute","max":2}]},
        "b":{"require":[{"conditions":[{"path":"args.n","op":"gt","value":9007199254740992.5},{"path":"peer.uid","op":"eq","value":7},
                                       {"path":"client.name","op":"eq","value":"c"},{"path":"annotations.ok","op":"eq","value":true}]}]},
        "w":{"action":"require_approval"}}})",
        "p.json", problems);
    EXPECT_TRUE(loaded) << problems.front().text();
    return loaded;
}

std::vector<std::string> problems_of(const std::string& text) {
    std::vector<PolicyProblem> problems;
    PolicyTestFile::parse(text, "t.test.json", problems);
    std::vector<std::string> out;
    for (const PolicyProblem& problem : problems) out.push_back(problem.text());
    return out;
}

// What is wrong with each case.
std::vector<std::string> run(const std::string& cases) {
    std::vector<PolicyProblem> problems;
    const PolicyTestFile tests = PolicyTestFile::parse("{\"cases\":[" + cases + "]}", "t.test.json", problems);
    for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
    std::vector<std::string> out;
    for (const PolicyCase& test : tests.cases) out.push_back(run_case(test, *policy()));
    return out;
}

TEST(PolicyTestFile, CasesThatPass) {
    for (const std::string& wrong : run(R"x(
        {"tool":"a","expect":"allow"}, {"tool":"a","times":2,"expect":"allow"},
        {"tool":"a","times":3,"expect":"limit","rule":"/tools/a/limits/c"},
        {"tool":"h","expect":"deny","rule":"(hidden)"}, {"tool":"x","expect":"deny"}, {"tool":"w","expect":"approval"},
        {"tool":"b","args":{"n":9007199254740993},"peer":{"uid":7},"client":{"name":"c"},"annotations":{"ok":true},"expect":"allow"},
        {"tool":"b","args":{"n":9007199254740992},"peer":{"uid":7},"client":{"name":"c"},"annotations":{"ok":true},
         "expect":"deny","rule":"/tools/b/require/args.n-gt"},
        {"method":"sampling/createMessage","params":{},"from_server":true,"expect":"deny"},
        {"method":"ping","expect":"allow"},
        {"message":{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"h"}},"expect":"refuse"})x")) {
        EXPECT_EQ(wrong, "");
    }
}

TEST(PolicyTestFile, CasesThatFailSayWhatCameInstead) {
    EXPECT_THAT(run(R"x({"tool":"x","expect":"allow"}, {"tool":"a","expect":"deny"}, {"tool":"a","times":4,"expect":"limit"},
                       {"tool":"x","expect":"deny","rule":"(hidden)"}, {"tool":"w","expect":"deny"},
                       {"message":{"jsonrpc":"2.0","id":1.5,"method":"ping"},"expect":"allow"})x"),
                ElementsAre("expected allow, got deny by (default deny)", "expected deny, got allow",
                            "call 3: expected allow, got limit by /tools/a/limits/c",
                            "expected deny by (hidden), got deny by (default deny)",
                            "expected deny, got approval by /tools/w/action", "expected allow, got refuse (invalid_id)"));
}

TEST(PolicyTestFile, CasesKnowTheirPlace) {
    std::vector<PolicyProblem> problems;
    const PolicyTestFile tests = PolicyTestFile::parse(
        "{\"policy\":\"q.json\",\"cases\":[\n  {\"name\":\"n\",\"tool\":\"a\",\"expect\":\"deny\"}]}", "f", problems);
    ASSERT_EQ(tests.cases.size(), 1u);
    EXPECT_EQ(tests.policy, "q.json");
    EXPECT_EQ(tests.cases[0].name, "n");
    EXPECT_EQ(tests.cases[0].place.text(), "f:2:3: /cases/0: ");
}

TEST(PolicyTestFile, Mistakes) {
    EXPECT_THAT(problems_of("{}"), ElementsAre("t.test.json:1:1: key \"cases\" is missing"));
    EXPECT_THAT(problems_of(R"({"cases":[]})"), ElementsAre(HasSubstr("/cases: is empty")));
    EXPECT_THAT(problems_of(R"({"cases":[{"expect":"allow"}]})"), ElementsAre(HasSubstr("names no call")));
    EXPECT_THAT(problems_of(R"({"cases":[{"tool":"a"}]})"), ElementsAre(HasSubstr("/cases/0: key \"expect\" is missing")));
    EXPECT_THAT(problems_of(R"({"cases":[{"tool":"a","expect":"denied"}]})"), ElementsAre(HasSubstr("did you mean \"deny\"?")));
    EXPECT_THAT(problems_of(R"({"cases":[{"tool":"a","expect":"deny","arg":{}}]})"),
                ElementsAre(HasSubstr("did you mean \"args\"?")));
    EXPECT_THAT(problems_of(R"({"cases":[{"tool":"a","expect":"deny","args":[]}]})"),
                ElementsAre(HasSubstr("expected an object")));
    EXPECT_THAT(problems_of(R"({"cases":[{"tool":"a","expect":"deny","peer":{"pid":1}}]})"),
                ElementsAre(HasSubstr("/peer/pid: unknown key")));
    EXPECT_THAT(problems_of("[]"), ElementsAre(HasSubstr("expected an object")));
    EXPECT_THAT(problems_of("x"), ElementsAre(HasSubstr("not JSON")));
}

}  // namespace
}  // namespace callgate
