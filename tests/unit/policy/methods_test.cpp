// Doors other than tools/call: methods and names within them, calls that a method carries, other names of tools.
#include <gtest/gtest.h>

#include "jsonrpc/answer.h"
#include "policy/policy.h"

namespace callgate {
namespace {

constexpr int64_t kMidnight = 1'767'225'600'000'000'000;

class Methods : public ::testing::Test {
  protected:
    void use(const std::string& members, const std::string& otherwise = "deny") {
        std::vector<PolicyProblem> problems;
        policy_ = Policy::load(R"({"version":"1","default":")" + otherwise + "\"," + members + "}", "p.json", problems);
        for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
    }
    Verdict judge(const std::string& method, const std::string& params, bool from_server = false) {
        line_ = R"({"jsonrpc":"2.0","id":1,"method":")" + method + R"(","params":)" + params + "}";
        const Message& message = parser_.parse(line_);
        EXPECT_EQ(message.kind, MessageKind::request) << line_;
        Verdict verdict;
        if (from_server) {
            policy_->judge_server_message(message, caller_, kMidnight, counters_, verdict);
        } else if (method == "tools/call") {
            policy_->judge_tool({message.name, message.arguments}, caller_, kMidnight, counters_, verdict);
        } else {
            policy_->judge_method(message, caller_, kMidnight, counters_, verdict);
        }
        if (verdict.action == Action::deny) {
            EXPECT_TRUE(verdict.charged.empty());
        }
        return verdict;
    }
    std::string rule(const std::string& method, const std::string& params = "{}", bool from_server = false) {
        const Verdict verdict = judge(method, params, from_server);
        return verdict.action == Action::allow ? "allow" : std::string(verdict.rule);
    }
    int64_t count() {
        int64_t sum = 0;
        for (const auto& row : counters_.rows(kMidnight)) sum += row.count;
        return sum;
    }

    std::shared_ptr<const Policy> policy_;
    CounterTable counters_;
    Caller caller_{"g", "s", "p"};
    MessageParser parser_;
    std::string line_;
};

// Only what a server says of its tools is pinned.
TEST_F(Methods, ANameOfAMethodIsNotPinned) {
    std::vector<PolicyProblem> problems;
    const auto policy = Policy::load(R"({"version":"1","default":"deny","methods":{"prompts/get":{"names":{"p":{"pin":true}}}}})",
                                     "p.json", problems);
    EXPECT_EQ(policy, nullptr);
    ASSERT_EQ(problems.size(), 1u);
    EXPECT_NE(problems[0].text().find("/methods/prompts~1get/names/p/pin"), std::string::npos) << problems[0].text();
}

TEST_F(Methods, ACounterOfAMethodAndOfItsNamesCountsOnce) {
    const std::string limits = R"("limits":[{"counter":"c","window":"hour","max":2,"scope":"host"}])";
    use(R"("methods":{"prompts/get":{)" + limits + R"(,"names":{"p":{)" + limits + "}}}}");
    EXPECT_EQ(rule("prompts/get", R"({"name":"p"})"), "allow");
    EXPECT_EQ(count(), 1);
    EXPECT_EQ(rule("prompts/get", R"({"name":"p"})"), "allow");
    EXPECT_NE(rule("prompts/get", R"({"name":"p"})"), "allow");
}

TEST_F(Methods, RulesOfAMethod) {
    use(R"("methods":{"sampling/createMessage":{"action":"deny","reason":"No."},
                      "resources/read":{"deny_if":[{"conditions":[{"path":"args.uri","op":"contains","value":".."}]}]},
                      "prompts/get":{"require":[{"conditions":[{"path":"args.who","op":"eq","value":"me"}]}]},
                      "logging/setLevel":{"action":"require_approval"}})");
    EXPECT_EQ(rule("sampling/createMessage"), "/methods/sampling~1createMessage/action");
    EXPECT_EQ(judge("sampling/createMessage", "{}").reason, "No.");
    EXPECT_EQ(rule("resources/read", R"({"uri":"file:///a"})"), "allow");
    EXPECT_EQ(rule("resources/read", R"({"uri":"file:///a/../b"})"), "/methods/resources~1read/deny_if/args.uri-contains");
    EXPECT_EQ(judge("resources/read", R"({"uri":".."})").reason, "Method \"resources/read\" is denied by the policy.");
    EXPECT_EQ(rule("prompts/get", R"({"name":"p","arguments":{"who":"me"}})"), "allow");
    EXPECT_EQ(rule("prompts/get", R"({"name":"p","who":"me"})"), "/methods/prompts~1get/require/args.who-eq");
    EXPECT_EQ(judge("logging/setLevel", "{}").code, kCodeApproval);
    EXPECT_EQ(rule("resources/list"), "allow");  // not mentioned
}

TEST_F(Methods, NamesWithinAMethod) {
    use(R"("methods":{"resources/read":{"names":{"glob:file:///srv/*":{},"glob:file:///srv/private/*":{"action":"deny"},
                                                  "file:///a?b":{}}},
                      "prompts/get":{"names":{"greet":{}}},
                      "completion/complete":{"names":{"greet":{},"glob:file:*":{}}},
                      "tasks/*":{"names":{"t1":{}}},
                      "tasks/list":{}})");
    const auto read = [&](const std::string& uri) { return rule("resources/read", "{\"uri\":\"" + uri + "\"}"); };
    EXPECT_EQ(read("file:///srv/x"), "allow");
    EXPECT_EQ(read("file:///a?b"), "allow");
    EXPECT_EQ(read("file:///srv/private/x"), "/methods/resources~1read/names/glob:file:~1~1~1srv~1private~1*/action");
    EXPECT_EQ(read("file:///etc/passwd"), "(default deny)");
    EXPECT_EQ(rule("resources/read"), "(default deny)");
    EXPECT_EQ(rule("resources/read", R"({"name":"file:///srv/x"})"), "(default deny)");
    EXPECT_EQ(rule("prompts/get", R"({"name":"greet"})"), "allow");
    EXPECT_EQ(rule("prompts/get", R"({"name":"gr\u0065et"})"), "allow");
    EXPECT_EQ(rule("prompts/get", R"({"name":"other"})"), "(default deny)");
    EXPECT_EQ(rule("completion/complete", R"({"argument":{"name":"x"},"ref":{"type":"ref/prompt","name":"greet"}})"), "allow");
    EXPECT_EQ(rule("completion/complete", R"({"ref":{"type":"ref/resource","uri":"file:///x"}})"), "allow");
    EXPECT_EQ(rule("completion/complete", R"({"name":"greet","ref":{"x":{"name":"greet"},"name":"no"}})"), "(default deny)");
    EXPECT_EQ(rule("tasks/get", R"({"taskId":"t1"})"), "allow");
    EXPECT_EQ(rule("tasks/get", R"({"taskId":"t2"})"), "(default deny)");
    EXPECT_EQ(rule("tasks/list"), "allow");
    EXPECT_EQ(rule("tasksx/get"), "allow");
    use(R"("methods":{"prompts/get":{"names":{"bad":{"action":"deny"}}}})", "allow");
    EXPECT_EQ(rule("prompts/get", R"({"name":"other"})"), "allow");
    EXPECT_EQ(rule("prompts/get", R"({"name":"bad"})"), "/methods/prompts~1get/names/bad/action");
}

// Servers take the name of a prompt or the uri of a resource by the type that ref says, and some of them keys in whatever case.
TEST_F(Methods, NamesThatServersMayReadDifferentlyAreDenied) {
    for (const char* otherwise : {"deny", "allow"}) {
        use(R"("methods":{"completion/complete":{"names":{"greet":{},"file:///no":{"action":"deny"}}},
                          "tasks/*":{"names":{"t1":{},"t2":{"action":"deny"}}}})",
            otherwise);
        for (const char* ref : {R"({"ref":{"type":"ref/resource","name":"greet","uri":"file:///no"}})",
                                R"({"ref":{"type":"ref/prompt","uri":"greet","name":"no"}})", R"({"Ref":{"name":"no"}})",
                                R"({"ref":{"name":"greet"},"Ref":{"name":"no"}})", R"({"ref":{"name":"greet","Name":"no"}})",
                                R"({"ref":{"name":"greet","URI":"file:///no"}})", R"({"ref":[{"name":"no"}]})", R"({"ref":"no"})",
                                R"({"ref":{"name":7}})", R"({"ref":{"name":{"name":"no"}}})"}) {
            EXPECT_EQ(rule("completion/complete", ref), "(unclear arguments)") << ref;
        }
        for (const char* params : {R"({"TaskId":"t2"})", R"({"taskid":"t2"})", R"({"taskId":"t1","TASKID":"t2"})",
                                   R"({"ta\u017fkId":"t2"})", R"({"taskId":2})", R"({"taskId":["t1"]})"})
            EXPECT_EQ(rule("tasks/get", params), "(unclear arguments)") << params;
        EXPECT_EQ(rule("completion/complete", R"({"ref":{"type":"ref/resource","uri":"file:///no","name":null}})"),
                  "/methods/completion~1complete/names/file:~1~1~1no/action");
        EXPECT_EQ(rule("completion/complete",
                       R"({"ref":{"type":"ref/prompt","name":"greet","Title":"x"},"argument":{"Name":"no"},"x":{"Ref":1}})"),
                  "allow");
        EXPECT_EQ(rule("tasks/get", R"({"taskId":"t1","x":{"TaskId":"t2"}})"), "allow");
    }
    use(R"("methods":{"completion/complete":{}})");
    EXPECT_EQ(rule("completion/complete", R"({"Ref":{"name":"x"}})"), "allow");  // no rule asks for the name
}

// "Tools/call" is no method of any SDK, but a server of one's own may compare as it likes.
TEST_F(Methods, WhatIsNearlyAMethodThatThePolicyDecidesAboutIsDenied) {
    for (const char* otherwise : {"deny", "allow"}) {
        use(R"("methods":{"tasks/cancel":{"action":"deny"},"tasks/*":{},"sampling/createMessage":{},"a/*":{},"a/b/*":{"action":"deny"}},
               "call_methods":{"x/run":"params.tool"},"tools":{"ok":{}})",
            otherwise);
        for (const char* method :
             {"Tools/call", "TOOLS/CALL", "tools/call ", " tools/call", "\\ttools/call\\n", "tools/call\\u0000",
              "tool\\u017f/call", "Tools/List", "tasks/Cancel", "tasks/cancel ", "Tasks/get", " tasks/get",
              "sampling/createmessage", "X/Run", "x/run ", "a/B/c", "tools\\/Call"}) {
            EXPECT_EQ(rule(method, R"({"name":"ok"})"), "(unclear method)") << method;
            if (std::string_view(method).find("ool") == std::string_view::npos) {
                EXPECT_EQ(rule(method, "{}", true), "(unclear method)") << method;
            }
        }
        for (const char* method : {"tools/list", "tasks/get", "sampling/createMessage", "a/c", "prompts/get", "Prompts/get",
                                   "ping", "toolscall", "task/cancel"})
            EXPECT_EQ(rule(method), "allow") << method;
        EXPECT_EQ(rule("tasks/cancel"), "/methods/tasks~1cancel/action");
        EXPECT_EQ(rule("a/b/c"), "/methods/a~1b~1*/action");
    }
    EXPECT_EQ(rule("Tools/other"), "allow");
    EXPECT_EQ(judge("Tools/call", "{}").reason,
              "Method \"Tools/call\" is nearly another one, which the policy decides about; servers may take it for that.");
    use(R"("tools":{})");
    EXPECT_EQ(rule("Tools/other"), "(unclear method)");
    EXPECT_EQ(rule("tools/other"), "(default deny)");
}

TEST_F(Methods, LimitsOfMethodsAndNamesAreTheirOwn) {
    use(R"("tools":{"resources/read":{"limits":[{"counter":"c","window":"day","max":1}]}},
           "methods":{"resources/read":{"limits":[{"counter":"c","window":"day","max":2}],
                                         "names":{"a":{"limits":[{"counter":"c","window":"day","max":1}]},"b":{}}}})");
    EXPECT_EQ(rule("tools/call", R"({"name":"resources/read"})"), "allow");
    EXPECT_EQ(rule("resources/read", R"({"uri":"a"})"), "allow");
    EXPECT_EQ(rule("resources/read", R"({"uri":"a"})"), "/methods/resources~1read/names/a/limits/c");
    EXPECT_EQ(rule("resources/read", R"({"uri":"b"})"), "allow");
    EXPECT_EQ(rule("resources/read", R"({"uri":"b"})"), "/methods/resources~1read/limits/c");
    EXPECT_EQ(count(), 4);
}

TEST_F(Methods, WhatAServerAsks) {
    use(R"("methods":{"sampling/*":{"deny_if":[{"conditions":[{"path":"args.maxTokens","op":"gt","value":100}]}]},
                      "notifications/message":{"action":"deny"}})");
    EXPECT_EQ(rule("sampling/createMessage", R"({"maxTokens":100})", true), "allow");
    EXPECT_EQ(rule("sampling/createMessage", R"({"maxTokens":101})", true), "/methods/sampling~1*/deny_if/args.maxTokens-gt");
    EXPECT_EQ(rule("notifications/message", "{}", true), "/methods/notifications~1message/action");
    EXPECT_EQ(rule("tools/anything", "{}", true), "allow");  // default deny is about what a client asks
    EXPECT_TRUE(policy_->says_anything_of_methods());
    use(R"("tools":{})");
    EXPECT_FALSE(policy_->says_anything_of_methods());
}

TEST_F(Methods, CarriersAreJudgedCallByCall) {
    use(R"("call_methods":{"tools/batch":"params.calls[*].name","x/run":"params.tool"},
           "tools":{"a":{"limits":[{"counter":"c","window":"day","max":3}]},"b":{"action":"deny"},
                    "c":{"require":[{"conditions":[{"path":"args.ok","op":"eq","value":true}]}]}})");
    const auto batch = [&](const std::string& calls) { return rule("tools/batch", "{\"calls\":" + calls + "}"); };
    EXPECT_EQ(batch(R"([{"name":"a"},{"arguments":{"ok":true},"name":"c"}])"), "allow");
    EXPECT_EQ(count(), 1);
    EXPECT_EQ(batch(R"([{"name":"a"},{"name":"b"}])"), "/tools/b/action");
    EXPECT_EQ(batch(R"([{"name":"a"},{"name":"c","arguments":{"ok":1}}])"), "/tools/c/require/args.ok-eq");
    EXPECT_EQ(batch(R"([{"name":"a"},{"name":"zzz"}])"), "(default deny)");
    EXPECT_EQ(count(), 1);
    EXPECT_EQ(batch(R"([{"name":"a"},{"name":"a"},{"name":"a"}])"), "/tools/a/limits/c");
    EXPECT_EQ(count(), 1);
    EXPECT_EQ(batch(R"([{"name":"\u0061"},{"name":"a"}])"), "allow");
    EXPECT_EQ(count(), 3);
    EXPECT_EQ(rule("x/run", R"({"tool":"b"})"), "/tools/b/action");
    EXPECT_EQ(rule("x/run", R"({"tool":"c","arguments":{"ok":true}})"), "allow");
    EXPECT_EQ(rule("tools/other"), "(default deny)");
}

TEST_F(Methods, CarriersThatReadersMayReadDifferentlyAreDenied) {
    use(R"("call_methods":{"tools/batch":"params.calls[*].name"},"tools":{"a":{}})", "allow");
    for (const char* params :
         {"{}", R"({"calls":[]})", R"({"calls":{}})", R"({"calls":"a"})", R"({"calls":[1]})", R"({"calls":[[]]})",
          R"({"calls":[{}]})", R"({"calls":[{"name":1}]})", R"({"calls":[{"name":["a"]}]})", R"({"calls":[{"Name":"a"}]})",
          R"({"calls":[{"name":"a","NAME":"b"}]})", R"({"calls":[{"name":"a","Arguments":{}}]})",
          R"({"calls":[{"name":"a","arguments":[]}]})", R"({"calls":[{"name":"a","arguments":null}]})",
          R"({"calls":[{"name":"a"}],"Calls":[{"name":"b"}]})", R"({"items":[{"name":"a"}]})",
          R"({"x":{"calls":[{"name":"a"}]}})"}) {
        EXPECT_EQ(rule("tools/batch", params), "(unreadable calls)") << params;
    }
    EXPECT_EQ(rule("tools/batch", R"({"calls":[{"name":"a","x":{"Name":1,"calls":[{}]}}],"title":7})"), "allow");
    std::string many = R"({"calls":[{"name":"a"})";
    for (int i = 0; i < 1024; ++i) many += R"(,{"name":"a"})";
    EXPECT_EQ(rule("tools/batch", many + "]}"), "(unreadable calls)");
}

TEST_F(Methods, AliasesShareRulesAndCounters) {
    use(R"("hide":["gone","nick"],"aliases":{"b":"a","g":"gone","nick":"a","c":"k"},
           "tools":{"a":{"limits":[{"counter":"c","window":"day","max":2}]},
                    "k":{"deny_if":[{"conditions":[{"path":"args.x","op":"eq","value":1}]}]}})");
    const auto call = [&](const std::string& name) {
        return rule("tools/call", "{\"name\":\"" + name + R"(","arguments":{"x":1}})");
    };
    EXPECT_EQ(call("a"), "allow");
    EXPECT_EQ(call("b"), "allow");
    EXPECT_EQ(call("b"), "/tools/a/limits/c");
    EXPECT_EQ(call("a"), "/tools/a/limits/c");
    EXPECT_EQ(call("c"), "/tools/k/deny_if/args.x-eq");
    EXPECT_EQ(call("g"), "(hidden)");
    EXPECT_EQ(call("nick"), "(hidden)");
    EXPECT_TRUE(policy_->is_hidden("g"));
    EXPECT_TRUE(policy_->is_hidden("nick"));
    EXPECT_FALSE(policy_->is_hidden("a"));
    EXPECT_FALSE(policy_->is_hidden("b"));
    EXPECT_EQ(call("d"), "(default deny)");
}

}  // namespace
}  // namespace callgate
