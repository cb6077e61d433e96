// Properties: permuted keys and other spellings share a fingerprint, every changed value has another one.
#include "approval/fingerprint.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "policy/caller.h"

namespace callgate {
namespace {

using nlohmann::json;

using Print = std::array<char, 32>;

Print print_of(std::string_view arguments, std::string_view tool = "t", std::string_view method = "m") {
    Caller caller{"g", "s", "p"};
    const ApprovalRules rules;
    ApprovalQuestion question;
    question.method = method;
    question.tool = tool;
    question.arguments = arguments;
    question.rules = &rules;
    question.caller = &caller;
    const auto made = fingerprint_of(question);
    EXPECT_TRUE(made) << arguments;
    return made ? made->hash : Print{};
}

// Of a message, `params` as they are.
CallFingerprint message_print(std::string_view params, const ServerIdentity& server = {}, const ApprovalRules& rules = {},
                              std::string_view method = "tools/call", bool is_carried = false) {
    Caller caller{"g", "s", "p", &server};
    ApprovalQuestion question;
    question.method = method;
    question.tool = "t";
    question.params = params;
    question.are_params = method == "resources/read";
    question.arguments = question.are_params ? params : R"({"a":1})";
    question.is_carried = is_carried;
    question.rules = &rules;
    question.caller = &caller;
    const auto made = fingerprint_of(question);
    EXPECT_TRUE(made) << params;
    return made.value_or(CallFingerprint{});
}

ServerIdentity notes() {
    ServerIdentity server;
    server.process.pid = 7;
    server.process.start_time = 99;
    server.process.uid = 1000;
    server.process.exe = "/usr/bin/node";
    server.process.cwd = "/srv/a";
    server.command = "node notes.js /srv/a";
    server.package = {"npm", "notes", "1.2.0", "/opt/notes"};
    server.listens = {"127.0.0.1:3000"};
    return server;
}

// Whatever a server may look at beside the arguments is approved with them, and shown.
TEST(Fingerprint, EveryMemberOfTheParamsCounts) {
    const CallFingerprint plain = message_print(R"({"name":"t","arguments":{"a":1}})");
    EXPECT_EQ(plain.other_params, "");
    std::set<Print> seen = {plain.hash};
    for (const char* params :
         {R"({"name":"t","arguments":{"a":1},"task":{"ttl":60}})", R"({"name":"t","arguments":{"a":1},"task":{"ttl":61}})",
          R"({"name":"t","arguments":{"a":1},"_meta":{"tenant":"a"}})",
          R"({"name":"t","arguments":{"a":1},"_meta":{"tenant":"b"}})", R"({"name":"t","arguments":{"a":1},"_meta":{}})",
          R"({"name":"t","arguments":{"a":1},"dryRun":false})", R"({"name":"t","arguments":{"a":1},"inputResponses":{}})"}) {
        EXPECT_TRUE(seen.insert(message_print(params).hash).second) << params;
    }
    EXPECT_EQ(
        message_print(R"({"task":{"ttl":60},"arguments":{"a":1},"_meta":{"b":1,"progressToken":2},"name":"t"})").other_params,
        R"({"_meta":{"b":1},"task":{"ttl":6e1}})");
}

TEST(Fingerprint, WhatOnlyNamesTheOneCallDoesNotCount) {
    const Print plain = message_print(R"({"name":"t","arguments":{"a":1}})").hash;
    for (const char* meta : {R"("progressToken":1)", R"("progressToken":"x")", R"("traceparent":"00-a")",
                             R"("claudecode/toolUseId":"toolu_1","progressToken":3)", R"("progress\u0054oken":1)"}) {
        const std::string params = R"({"name":"t","arguments":{"a":1},"_meta":{)" + std::string(meta) + "}}";
        EXPECT_EQ(message_print(params).hash, plain) << meta;
    }
    ApprovalRules rules;
    const char* acme = R"({"name":"t","arguments":{"a":1},"_meta":{"acme/call":5}})";
    EXPECT_NE(message_print(acme).hash, plain);
    rules.ignored_meta = {"acme/call"};
    EXPECT_EQ(message_print(acme, {}, rules).hash, plain);
    // Only there: elsewhere it is a value like any other.
    EXPECT_NE(message_print(R"({"name":"t","arguments":{"a":1},"progressToken":1})").hash, plain);
    EXPECT_NE(message_print(R"({"name":"t","arguments":{"a":1},"_meta":{"x":{"progressToken":1}}})").hash, plain);
}

TEST(Fingerprint, AMethodWithoutArgumentsIsItsParams) {
    const auto of = [](const char* params) { return message_print(params, {}, {}, "resources/read").hash; };
    EXPECT_EQ(of(R"({"uri":"file:///a"})"), of(R"({"_meta":{"progressToken":7},"uri":"file:///a"})"));
    EXPECT_NE(of(R"({"uri":"file:///a"})"), of(R"({"uri":"file:///b"})"));
    EXPECT_NE(of(R"({"uri":"file:///a"})"), of(R"({"uri":"file:///a","name":"x"})"));
    EXPECT_EQ(message_print(R"({"uri":"file:///a"})", {}, {}, "resources/read").other_params, "");
}

TEST(Fingerprint, ACarriedCallIsApprovedInItsMessage) {
    const auto of = [](const char* params, const char* method = "tools/batch") {
        return message_print(params, {}, {}, method, true);
    };
    const CallFingerprint first = of(R"({"calls":[{"name":"t","arguments":{"a":1}}],"target":"test"})");
    EXPECT_EQ(first.other_params, R"({"calls":[{"arguments":{"a":1},"name":"t"}],"target":"test"})");
    EXPECT_EQ(of(R"({"target":"test","calls":[{"name":"t","arguments":{"a":1.0}}],"_meta":{"progressToken":1}})").hash,
              first.hash);
    EXPECT_NE(of(R"({"calls":[{"name":"t","arguments":{"a":1}}],"target":"production"})").hash, first.hash);
    EXPECT_NE(of(R"({"calls":[{"name":"t","arguments":{"a":1},"as":"root"}],"target":"test"})").hash, first.hash);
    EXPECT_NE(of(R"({"calls":[{"name":"t","arguments":{"a":1}}],"target":"test"})", "tools/many").hash, first.hash);
}

TEST(Fingerprint, IsForOneServerWhateverItsProcess) {
    const char* params = R"({"name":"t","arguments":{"a":1}})";
    std::set<Print> seen = {message_print(params).hash, message_print(params, notes()).hash};
    EXPECT_EQ(seen.size(), 2u);
    ServerIdentity again = notes();
    again.process.pid = 8;
    again.process.start_time = 100;
    again.process.parent_pid = 3;
    again.process.cgroup = "/user.slice/user-1000.slice/session-4.scope";
    EXPECT_TRUE(seen.contains(message_print(params, again).hash));
    const std::vector<std::function<void(ServerIdentity&)>> changes = {
        [](ServerIdentity& s) { s.package.name = "other"; },
        [](ServerIdentity& s) { s.package.version = "1.3.0"; },
        [](ServerIdentity& s) { s.package.ecosystem = "python"; },
        [](ServerIdentity& s) { s.process.exe = "/usr/bin/bun"; },
        [](ServerIdentity& s) { s.command = "node notes.js /srv/b"; },
        [](ServerIdentity& s) { s.process.cwd = "/srv/b"; },
        [](ServerIdentity& s) { s.process.uid = 1001; },
        [](ServerIdentity& s) { s.listens = {"127.0.0.1:3001"}; },
        [](ServerIdentity& s) { s.listens = {}; }};
    for (const auto& change : changes) {
        ServerIdentity other = notes();
        change(other);
        EXPECT_TRUE(seen.insert(message_print(params, other).hash).second);
    }
}

TEST(Fingerprint, PartsDoNotRunIntoEachOther) {
    EXPECT_NE(print_of("{}", "ab", "c"), print_of("{}", "a", "bc"));
    EXPECT_NE(print_of("{}", "", "abc"), print_of("{}", "abc", ""));
}

TEST(Fingerprint, UnreadableArgumentsHaveNone) {
    Caller caller{"g", "s", "p"};
    ApprovalQuestion question;
    const ApprovalRules rules;
    question.rules = &rules;
    question.arguments = "{";
    question.caller = &caller;
    EXPECT_FALSE(fingerprint_of(question));
}

TEST(Fingerprint, PermutedKeysAreTheSameAndAChangedValueIsNot) {
    std::mt19937 random(5);
    std::set<std::array<char, 32>> seen;
    for (int round = 0; round < 2000; ++round) {
        std::vector<std::string> members;
        const size_t number = 1 + random() % 6;
        for (size_t i = 0; i < number; ++i)
            members.push_back(
                json("k" + std::to_string(i)).dump() + ":" +
                (random() % 2 ? std::to_string(static_cast<int64_t>(random()) - 5) : json(std::to_string(random())).dump()));
        const auto text = [&] {
            std::string out = "{";
            for (const std::string& member : members) out += (out.size() > 1 ? ", " : "") + member;
            return out + "}";
        };
        const auto first = print_of(text());
        EXPECT_TRUE(seen.insert(first).second) << text();
        std::shuffle(members.begin(), members.end(), random);
        EXPECT_EQ(print_of(text()), first);
        std::string& changed = members[random() % members.size()];
        changed.insert(changed.ends_with('"') ? changed.size() - 1 : changed.size(), "7");
        EXPECT_NE(print_of(text()), first);
    }
}

}  // namespace
}  // namespace callgate
