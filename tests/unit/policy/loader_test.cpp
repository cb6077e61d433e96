// Every mistake that a policy file can hold, and the words that it is answered with.
#include "policy/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace callgate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> problems_of(std::string_view text) {
    std::vector<PolicyProblem> problems;
    const auto policy = Policy::load(text, "dir/policy.json", problems);
    EXPECT_EQ(policy == nullptr, !problems.empty());
    std::vector<std::string> out;
    for (const PolicyProblem& problem : problems) out.push_back(problem.text());
    return out;
}

// The one problem of a policy that has this beside "version" and "default".
std::string problem_with(const std::string& members) {
    const std::vector<std::string> problems = problems_of("{\"version\":\"1\",\"default\":\"deny\"," + members + "}");
    if (problems.size() != 1) return ::testing::PrintToString(problems);
    return problems[0].substr(problems[0].find(": ") + 2);
}
std::string problem_with_tool(const std::string& tool) { return problem_with("\"tools\":{\"x\":" + tool + "}"); }
std::string problem_with_limit(const std::string& limit) { return problem_with_tool("{\"limits\":[" + limit + "]}"); }

TEST(Loader, SmallestPolicy) {
    std::vector<PolicyProblem> problems;
    const auto policy = Policy::load(R"({"version":"1","default":"deny"})", "/etc/x/some-server.json", problems);
    ASSERT_TRUE(policy);
    EXPECT_TRUE(problems.empty());
    EXPECT_EQ(policy->name(), "some-server");
    EXPECT_EQ(policy->revision(), "aeaf06700126854b");  // printf %s … | sha256sum
    EXPECT_TRUE(policy->match().empty());
    EXPECT_EQ(policy->mode(), Mode::enforce);
    EXPECT_EQ(policy->on_blind(), OnBlind::allow);
    EXPECT_EQ(policy->fail(), Fail::closed);
    EXPECT_EQ(policy->deny_as(), DenyAs::result);
    EXPECT_FALSE(policy->hides_any());
}

TEST(Loader, EveryKey) {
    std::vector<PolicyProblem> problems;
    const auto policy = Policy::load(R"({
        "$schema": "policy.schema.json", "$comment": "c", "description": "d", "version": "1", "default": "allow",
        "server": {"package": "p", "command": "node *", "user": "1000", "listen": "[::1]:3000", "path": "/mcp",
                   "exe_sha256": "ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789"},
        "mode": "shadow", "on_blind": "kill", "fail": "open", "deny_as": "error", "hide": ["a", "glob:b*", "*"],
        "all_tools": {"limits": [{"counter": "c", "window": 90, "max": 0, "scope": "server"}]},
        "tools": {
            "$comment": "c",
            "x": {"$comment": "c", "limits": [{"counter": "c", "window": "day", "max": 1, "scope": "session"}],
                  "require": [{"conditions": [{"path": "args.a", "op": "lt", "value": 1e2}]}],
                  "deny_if": [{"conditions": [], "on_deny": "no"}], "require_approval": [],
                  "action": "deny", "reason": "r", "rate_limit": {"max": 1, "window": "hour"}},
            "glob:y[0-9]*": {}
        }})",
                                     "f", problems);
    for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
    ASSERT_TRUE(policy);
    EXPECT_EQ(policy->match().package, "p");
    EXPECT_EQ(policy->match().command, "node *");
    EXPECT_EQ(policy->match().user, "1000");
    EXPECT_EQ(policy->match().listen, "[::1]:3000");
    EXPECT_EQ(policy->match().path, "/mcp");
    EXPECT_EQ(policy->match().exe_sha256.substr(0, 8), "abcdef01");
    EXPECT_EQ(policy->mode(), Mode::shadow);
    EXPECT_EQ(policy->on_blind(), OnBlind::kill);
    EXPECT_EQ(policy->fail(), Fail::open);
    EXPECT_EQ(policy->deny_as(), DenyAs::error);
    EXPECT_TRUE(policy->hides_any());
}

TEST(Loader, UnknownKeysNameTheNearest) {
    EXPECT_THAT(problems_of("{\n \"version\": \"1\",\n \"default\": \"deny\",\n \"tools\": {\n  \"create_charge\": {\n"
                            "   \"limit\": []\n  }\n }\n}"),
                ElementsAre("dir/policy.json:6:4: /tools/create_charge/limit: unknown key \"limit\"; did you mean "
                            "\"limits\"?"));
    EXPECT_EQ(problem_with(R"("tool":{})"), "/tool: unknown key \"tool\"; did you mean \"tools\"?");
    EXPECT_EQ(problem_with(R"("server":{"pakage":"x"})"), "/server/pakage: unknown key \"pakage\"; did you mean \"package\"?");
    EXPECT_EQ(
        problem_with(R"("all_tools":{"zzzzzzz":1})"),
        "/all_tools/zzzzzzz: unknown key \"zzzzzzz\"; known here: \"limits\", \"require\", \"deny_if\", \"require_approval\" or "
        "\"$comment\"");
    EXPECT_EQ(problem_with_tool(R"({"a/b~c\n":1})").substr(0, 46), "/tools/x/a~1b~0c\\x0a: unknown key \"a/b~c\\x0a\";");
    EXPECT_THAT(problem_with_tool(R"({"deny_if":[{"conditions":[],"on_denied":"x"}]})"), HasSubstr("did you mean \"on_deny\"?"));
    EXPECT_THAT(problem_with_tool(R"({"rate_limit":{"max":1,"window":1,"windows":2}})"), HasSubstr("did you mean \"window\"?"));
    EXPECT_THAT(problem_with_limit(R"({"counter":"c","window":1,"max":1,"maxx":1})"), HasSubstr("did you mean \"max\"?"));
}

TEST(Loader, EverythingWrongIsReportedAtOnceInTheOrderOfTheFile) {
    EXPECT_THAT(problems_of(R"({
  "version": 1,
  "hide": ["a", 2],
  "tools": {
    "x": { "limits": [ { "counter": "c", "window": "minut", "max": "30" } ] },
    "y": [],
    "y": {}
  },
  "mode": true
})"),
                ElementsAre("dir/policy.json:1:1: key \"default\" is missing",
                            "dir/policy.json:2:14: /version: expected a string, found an integer",
                            "dir/policy.json:3:17: /hide/1: expected a string, found an integer",
                            "dir/policy.json:5:52: /tools/x/limits/0/window: expected \"second\", \"minute\", \"hour\" or "
                            "\"day\" or a number of seconds, found \"minut\"; did you mean \"minute\"?",
                            "dir/policy.json:5:68: /tools/x/limits/0/max: expected an integer, found a string",
                            "dir/policy.json:6:10: /tools/y: expected an object, found an array",
                            "dir/policy.json:7:5: /tools/y: key \"y\" is given more than once",
                            "dir/policy.json:9:11: /mode: expected a string, found a boolean"));
}

TEST(Loader, WrongRoots) {
    EXPECT_THAT(problems_of("[]"), ElementsAre("dir/policy.json:1:1: expected an object, found an array"));
    EXPECT_THAT(problems_of("{}"), ElementsAre("dir/policy.json:1:1: key \"version\" is missing",
                                               "dir/policy.json:1:1: key \"default\" is missing"));
    EXPECT_THAT(problems_of(R"({"version":"2","default":"ask"})"),
                ElementsAre(HasSubstr("version \"2\" is not supported by this version; expected \"1\""),
                            HasSubstr("/default: expected \"allow\" or \"deny\", found \"ask\"")));
}

TEST(Loader, TheRestOfTheLanguageIsRefusedByName) {
    const std::string later = "is not supported by this version";
    for (const char* key : {"image", "unit"}) {
        EXPECT_THAT(problem_with("\"server\":{\"" + std::string(key) + "\":\"v*\"}"), HasSubstr("\"glob:v*\" for a pattern"));
    }
    EXPECT_THAT(problem_with_limit(R"({"counter":"c","window":1,"max":1,"scope":"fleet"})"), HasSubstr(later));
}

TEST(Loader, MethodsAreChecked) {
    EXPECT_THAT(problem_with(R"("methods":{"prompts/get":{"name":{}}})"), HasSubstr("did you mean \"names\"?"));
    EXPECT_THAT(problem_with(R"("methods":{"prompts/get":{"names":[]}})"),
                HasSubstr("/methods/prompts~1get/names: expected an object"));
    EXPECT_THAT(problem_with(R"("methods":{"prompts/get":{"names":{"x":{"names":{}}}}})"), HasSubstr("unknown key \"names\""));
    EXPECT_THAT(problem_with(R"("methods":{"prompts/get":{"names":{"x*":{}}}})"), HasSubstr("write \"glob:x*\" for a pattern"));
    EXPECT_THAT(problem_with(R"("methods":{"prompts/get":{"names":{"":{}}}})"), HasSubstr("the name is empty"));
    for (const char* name : {"", "/*", "a*", "*/x", "a\\n"}) {
        EXPECT_THAT(problem_with("\"methods\":{\"" + std::string(name) + "\":{}}"), ::testing::StartsWith("/methods/")) << name;
    }
    EXPECT_THAT(problem_with(R"("methods":{"tools/call":{}})"), HasSubstr("tools are named under \"tools\""));
    EXPECT_THAT(problem_with(R"("methods":{"tools/*":{}})"), HasSubstr("tools are named under \"tools\""));
    EXPECT_THAT(problem_with(R"("methods":{"x":{"deny_if":[{}]}})"),
                HasSubstr("/methods/x/deny_if/0: key \"conditions\" is missing"));
}

TEST(Loader, CarriersAndAliasesAreChecked) {
    EXPECT_THAT(problem_with(R"("call_methods":{"tools/batch":1})"), HasSubstr("/call_methods/tools~1batch: expected a string"));
    for (const char* path : {"calls", "params", "params.", "params.calls[*]", "params.calls.name", "params..name"}) {
        EXPECT_THAT(problem_with("\"call_methods\":{\"tools/batch\":\"" + std::string(path) + "\"}"),
                    ::testing::StartsWith("/call_methods/tools~1batch: "))
            << path;
    }
    EXPECT_THAT(problem_with(R"("call_methods":{"tools/*":"params.name"})"), HasSubstr("expected the name of one method"));
    EXPECT_THAT(problem_with(R"("call_methods":{"tools/call":"params.name"})"), HasSubstr("tools are named under"));
    EXPECT_THAT(problem_with(R"("tools":{"a":{}},"aliases":{"b":"c"})"),
                HasSubstr("/aliases/b: \"c\" is neither under \"tools\" nor hidden"));
    EXPECT_THAT(problem_with(R"("tools":{"a":{},"b":{}},"aliases":{"b":"a"})"), HasSubstr("\"b\" has rules of its own"));
    EXPECT_THAT(problem_with(R"("tools":{"a":{}},"aliases":{"b":"a","c":"b"})"), HasSubstr("/aliases/c: \"b\" is neither"));
    EXPECT_THAT(problem_with(R"("tools":{"a":{}},"aliases":{"b":1})"), HasSubstr("/aliases/b: expected a string"));
    EXPECT_THAT(problem_with(R"("tools":{"a":{}},"aliases":{"":"a"})"), HasSubstr("is no name of a tool"));
}

// The one problem of a condition.
std::string problem_with_condition(const std::string& condition) {
    return problem_with_tool(R"({"deny_if":[{"conditions":[)" + condition + "]}]}");
}
std::string problem_with_value(const std::string& op, const std::string& value) {
    return problem_with_condition(R"({"path":"args.a","op":")" + op + R"(","value":)" + value + "}");
}

TEST(Loader, ConditionsAreChecked) {
    const std::string at = "/tools/x/deny_if/0/conditions/0";
    EXPECT_EQ(problem_with_condition(R"({"op":"eq","value":1})"), at + ": key \"path\" is missing");
    EXPECT_EQ(problem_with_condition(R"({"path":"args.a","value":1})"), at + ": key \"op\" is missing");
    EXPECT_EQ(problem_with_condition(R"({"path":"args.a","op":"exists"})"), at + ": key \"value\" is missing");
    EXPECT_THAT(problem_with_condition("1"), HasSubstr(at + ": expected an object, found an integer"));
    EXPECT_THAT(problem_with_condition(R"({"path":"args.a","op":"eq","value":1,"valeu":1})"),
                HasSubstr("did you mean \"value\"?"));
    EXPECT_THAT(problem_with_condition(R"({"path":"arg.a","op":"eq","value":1})"),
                HasSubstr(at + "/path: \"arg.a\" begins with none of"));
    EXPECT_THAT(problem_with_condition(R"({"path":"","op":"eq","value":1})"), HasSubstr(at + "/path: is empty"));
    EXPECT_THAT(problem_with_condition(R"({"path":"peer.pid","op":"eq","value":1})"),
                HasSubstr("\"peer.pid\" is not known; expected \"peer.uid\""));
    EXPECT_THAT(problem_with_value("equals", "1"), HasSubstr(at + "/op: expected \"eq\", \"neq\""));
    EXPECT_THAT(problem_with_value("not_inn", "[1]"), HasSubstr("did you mean \"not_in\"?"));
    EXPECT_THAT(problem_with_tool(R"({"require":{}})"), HasSubstr("/tools/x/require: expected an array, found an object"));
    EXPECT_THAT(problem_with_tool(R"({"require_approval":[{"conditions":1}]})"),
                HasSubstr("/tools/x/require_approval/0/conditions: expected an array"));
}

TEST(Loader, ValuesOfConditionsAreChecked) {
    for (const char* op : {"eq", "neq", "contains"}) {
        EXPECT_THAT(problem_with_value(op, "[1]"),
                    HasSubstr("/value: expected a string, a number, a boolean or null, found an array"));
        EXPECT_THAT(problem_with_value(op, "{}"), HasSubstr("found an object"));
    }
    for (const char* op : {"in", "not_in"}) {
        EXPECT_THAT(problem_with_value(op, "1"), HasSubstr("/value: expected an array, found an integer"));
        EXPECT_THAT(problem_with_value(op, "[]"), HasSubstr("/value: is empty"));
        EXPECT_THAT(problem_with_value(op, "[1,[2]]"), HasSubstr("/value/1: expected a string"));
    }
    for (const char* op : {"lt", "lte", "gt", "gte"}) {
        EXPECT_THAT(problem_with_value(op, "\"1\""), HasSubstr("/value: expected a number, found a string"));
    }
    EXPECT_THAT(problem_with_value("exists", "1"), HasSubstr("/value: expected a boolean, found an integer"));
    EXPECT_THAT(problem_with_value("regex", "1"), HasSubstr("/value: expected a string, found an integer"));
    EXPECT_THAT(problem_with_value("regex", "\"a(b\""), HasSubstr("/value: is no regular expression of RE2: missing )"));
    EXPECT_THAT(problem_with_value("regex", R"("(a)\\1")"), HasSubstr("invalid escape sequence: \\1"));
    EXPECT_THAT(problem_with_value("regex", R"x("a(?=b)")x"), HasSubstr("(?="));
}

TEST(Loader, ConditionsAreBounded) {
    EXPECT_THAT(problem_with_value("regex", "\"((a{100}){100}){100}\""), HasSubstr("is no regular expression of RE2"));
    EXPECT_THAT(problem_with_value("regex", R"("\\pL{500}")"), HasSubstr("too large"));
    std::string values, conditions, regexes;
    for (int i = 0; i < 1025; ++i) {
        values += (i ? "," : "") + std::to_string(i);
        conditions += std::string(i ? "," : "") + R"({"path":"args.a","op":"eq","value":1})";
        if (i < 1001) regexes += std::string(i ? "," : "") + R"({"path":"args.a","op":"regex","value":"a"})";
    }
    EXPECT_THAT(problem_with_value("in", "[" + values + "]"), HasSubstr("has more than 1024 values"));
    EXPECT_THAT(problem_with_condition(conditions), HasSubstr("/conditions/1024: more than 1024 conditions for one tool"));
    EXPECT_THAT(problem_with_condition(regexes), HasSubstr("/conditions/1000/value: more than 1000 regular expressions"));
}

TEST(Loader, EveryProblemOfConditionsHasItsPlace) {
    EXPECT_THAT(problems_of(R"({"version":"1","default":"deny","tools":{"x":{
  "deny_if": [{"conditions": [
    {"path": "arg.a", "op": "eq", "value": 1},
    {"path": "args.a", "op": "regex", "value": "["}]}],
  "require": [{"conditions": [{"path": "args.a", "op": "lt", "value": true}]}]}}})"),
                ElementsAre(HasSubstr("dir/policy.json:3:14: /tools/x/deny_if/0/conditions/0/path: "),
                            HasSubstr("dir/policy.json:4:48: /tools/x/deny_if/0/conditions/1/value: "),
                            HasSubstr("dir/policy.json:5:71: /tools/x/require/0/conditions/0/value: ")));
}

TEST(Loader, LimitsAreChecked) {
    EXPECT_THAT(problem_with_limit(R"({"counter":"c","max":1})"), HasSubstr("/tools/x/limits/0: key \"window\" is missing"));
    EXPECT_THAT(problem_with_limit(R"({"window":1,"max":1})"), HasSubstr("key \"counter\" is missing"));
    EXPECT_THAT(problem_with_limit(R"({"counter":"","window":1,"max":1})"), HasSubstr("counter: is empty"));
    EXPECT_THAT(problem_with_limit(R"({"counter":"a\u001fb","window":1,"max":1})"), HasSubstr("control character"));
    EXPECT_THAT(problem_with_limit(R"({"counter":"c","window":0,"max":1})"),
                HasSubstr("window: expected an integer from 1 to 31622400, found 0"));
    EXPECT_THAT(problem_with_limit(R"({"counter":"c","window":1.5,"max":1})"), HasSubstr("or a number of seconds, found"));
    EXPECT_THAT(problem_with_limit(R"({"counter":"c","window":1,"max":-1})"), HasSubstr("found -1"));
    EXPECT_THAT(problem_with_limit(R"({"counter":"c","window":1,"max":99999999999999999999})"),
                HasSubstr("expected an integer, found a number that is no 64-bit integer"));
    EXPECT_THAT(problem_with_limit(R"({"counter":"c","window":1,"max":1},{"counter":"c","window":2,"max":1})"),
                HasSubstr("/tools/x/limits/1/counter: counter \"c\" is already used in this list"));
    EXPECT_THAT(problem_with_tool(R"({"limits":[{"counter":"rate_limit","window":1,"max":1}],
                                      "rate_limit":{"max":1,"window":1}})"),
                HasSubstr("rename that"));
    EXPECT_THAT(problem_with_tool(R"({"rate_limit":{"max":1}})"), HasSubstr("/tools/x/rate_limit: key \"window\""));
    EXPECT_THAT(problem_with_tool(R"({"deny_if":[{}]})"), HasSubstr("/tools/x/deny_if/0: key \"conditions\" is missing"));
}

TEST(Loader, NamesOfToolsAreChecked) {
    EXPECT_THAT(problem_with(R"("tools":{"*":{}})"), HasSubstr("\"*\" names no tool"));
    EXPECT_THAT(problem_with(R"("tools":{"read_*":{}})"), HasSubstr("write \"glob:read_*\" for a pattern"));
    EXPECT_THAT(problem_with(R"("tools":{"":{}})"), HasSubstr("/tools/: the name of a tool is empty"));
    EXPECT_THAT(problem_with(R"("tools":{"a\u0000b":{}})"), HasSubstr("control character"));
    EXPECT_THAT(problem_with(R"("tools":{"glob:a[":{}})"), HasSubstr("open bracket"));
    EXPECT_THAT(problem_with(R"("hide":["read_*"])"), HasSubstr("write \"glob:read_*\" for a pattern"));
    EXPECT_THAT(problem_with("\"hide\":[\"" + std::string(1025, 'a') + "\"]"), HasSubstr("longer than 1024 bytes"));
}

TEST(Loader, ServersAreChecked) {
    EXPECT_THAT(problem_with(R"("server":{"exe_sha256":"abc"})"), HasSubstr("expected 64 hex digits"));
    EXPECT_THAT(problem_with(R"("server":{"command":"a["})"), HasSubstr("open bracket"));
    EXPECT_THAT(problem_with(R"("server":{"package":""})"), HasSubstr("is empty"));
    EXPECT_THAT(problem_with(R"("server":"x")"), HasSubstr("/server: expected an object, found a string"));
    for (const char* listen : {"3000", "localhost:3000", "127.0.0.1", "::1:3000", "[::1]", "127.0.0.1:0", ":65536", ":x"}) {
        EXPECT_THAT(problem_with("\"server\":{\"listen\":\"" + std::string(listen) + "\"}"),
                    HasSubstr("/server/listen: expected ADDRESS:PORT"))
            << listen;
    }
    for (const char* path : {"mcp", "/mcp?x", "/a#b", "/%6dcp"}) {
        EXPECT_THAT(problem_with("\"server\":{\"package\":\"p\",\"path\":\"" + std::string(path) + "\"}"),
                    HasSubstr("/server/path: expected the path of a request"))
            << path;
    }
    EXPECT_THAT(problem_with(R"("server":{"path":"/mcp"})"), HasSubstr("/server/path: names no server"));
}

TEST(Loader, TextsAreBounded) {
    EXPECT_THAT(problem_with_tool("{\"reason\":\"" + std::string(4097, 'a') + "\"}"), HasSubstr("longer than 4096 bytes"));
}

TEST(Loader, FilesAreBounded) {
    EXPECT_THAT(problems_of(std::string((size_t{16} << 20) + 1, ' ')), ElementsAre(HasSubstr("larger than 16777216 bytes")));
}

TEST(Loader, ProblemsOfTheWholeFileHaveNoLine) {
    EXPECT_EQ((PolicyProblem{"f", 0, 0, "", "m"}).text(), "f: m");
    EXPECT_EQ((PolicyProblem{"f", 1, 2, "/a", "m"}).text(), "f:1:2: /a: m");
}

}  // namespace
}  // namespace callgate
