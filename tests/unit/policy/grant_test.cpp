// grants.json: who has which grant, and what is refused in the file.
#include "policy/grant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

std::string file(const std::string& grants, const std::string& more = "") {
    return R"({"version":"1","grants":{)" + grants + "}" + more + "}";
}

std::shared_ptr<const GrantTable> load(const std::string& text) {
    std::vector<PolicyProblem> problems;
    auto table = GrantTable::load(text, "grants.json", problems);
    for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
    return table ? table : std::make_shared<GrantTable>();
}

// Every problem, one a line.
std::string problems_of(const std::string& text) {
    std::vector<PolicyProblem> problems;
    EXPECT_EQ(GrantTable::load(text, "grants.json", problems), nullptr) << text;
    std::string lines;
    for (const PolicyProblem& problem : problems) lines += problem.text() + "\n";
    return lines;
}

PeerIdentity ci() {
    PeerIdentity peer;
    peer.process.pid = 4711;
    peer.process.uid = 1000;
    peer.process.user = "ci";
    peer.process.groups = {1000, 0};
    peer.process.exe = "/usr/bin/node";
    peer.process.cgroup = "/system.slice/ci@3.service";
    peer.parents = {{10, "claude", "/usr/bin/node"}, {1, "systemd", "/usr/lib/systemd/systemd"}};
    return peer;
}

// The name of the grant, "-" for the default one, "tie".
std::string found(const std::string& grants, const PeerIdentity& peer = ci(), std::string_view client = "",
                  const std::string& hash = "") {
    const auto table = load(file(grants));
    const GrantTable::Found result = table->find({peer, client, [&] { return hash; }});
    return result.is_tie ? "tie" : result.grant ? result.grant->name : "-";
}
bool matches(const std::string& match, const PeerIdentity& peer = ci(), std::string_view client = "",
             const std::string& hash = "") {
    return found(R"("g":{"match":)" + match + "}", peer, client, hash) == "g";
}

TEST(Grants, UsersAndGroups) {
    EXPECT_TRUE(matches(R"({"user":"ci"})"));
    EXPECT_TRUE(matches(R"({"user":"1000"})"));
    EXPECT_TRUE(matches(R"({"user":"glob:c?"})"));
    EXPECT_FALSE(matches(R"({"user":"c"})"));
    EXPECT_FALSE(matches(R"({"user":"100"})"));
    EXPECT_TRUE(matches(R"({"group":"root"})"));
    EXPECT_TRUE(matches(R"({"group":"1000"})"));
    EXPECT_FALSE(matches(R"({"group":"1001"})"));
    EXPECT_FALSE(matches(R"({"group":"no-such-group"})"));
}

TEST(Grants, ProgramsAndTheirHashes) {
    EXPECT_TRUE(matches(R"({"exe":"/usr/bin/node"})"));
    EXPECT_TRUE(matches(R"({"exe":"glob:/usr/*/node"})"));
    EXPECT_FALSE(matches(R"({"exe":"/usr/bin/nod"})"));
    EXPECT_FALSE(matches(R"({"exe":"/usr/bin"})"));
    PeerIdentity replaced = ci();
    replaced.process.exe += " (deleted)";
    EXPECT_TRUE(matches(R"({"exe":"/usr/bin/node"})", replaced));
    const std::string hash(64, 'a');
    EXPECT_TRUE(matches(R"({"exe_sha256":")" + std::string(64, 'A') + "\"}", ci(), "", hash));
    EXPECT_FALSE(matches(R"({"exe_sha256":")" + hash + "\"}", ci(), "", ""));
    EXPECT_FALSE(matches(R"({"exe_sha256":")" + hash + "\"}", ci(), "", std::string(64, 'b')));
}

TEST(Grants, TheHashIsAskedForOnceAndOnlyIfItMatters) {
    const std::string hash(64, 'a'), other(64, 'b');
    const auto table = load(file(R"("x":{"match":{"exe_sha256":")" + hash + R"(","user":"ci"}},"y":{"match":{"exe_sha256":")" +
                                 other + R"(","user":"ci"}},"z":{"match":{"exe_sha256":")" + other + R"(","user":"nobody"}})"));
    int asked = 0;
    const auto ask = [&] {
        ++asked;
        return hash;
    };
    EXPECT_EQ(table->find({ci(), "", ask}).grant->name, "x");
    EXPECT_EQ(asked, 1);
    PeerIdentity other_user = ci();
    other_user.process.user = "alice";
    EXPECT_EQ(table->find({other_user, "", ask}).grant, nullptr);
    EXPECT_EQ(asked, 1);
}

TEST(Grants, ParentsByNameOrProgram) {
    EXPECT_TRUE(matches(R"({"parents":"claude"})"));
    EXPECT_TRUE(matches(R"({"parents":"glob:*laud*"})"));
    EXPECT_TRUE(matches(R"({"parents":["claude","/usr/lib/systemd/systemd"]})"));
    EXPECT_FALSE(matches(R"({"parents":["claude","sshd"]})"));
    PeerIdentity liar = ci();
    liar.parents = {{10, "/usr/sbin/sshd", "/tmp/x"}};
    EXPECT_FALSE(matches(R"({"parents":"/usr/sbin/sshd"})", liar));
    EXPECT_FALSE(matches(R"({"parents":"glob:/usr/*"})", liar));
    PeerIdentity alone = ci();
    alone.parents.clear();
    EXPECT_FALSE(matches(R"({"parents":"glob:*"})", alone));
    alone.process.comm = "claude";  // itself is no parent
    EXPECT_FALSE(matches(R"({"parents":"claude"})", alone));
}

TEST(Grants, CgroupsUnitsAndContainers) {
    EXPECT_TRUE(matches(R"({"unit":"ci@3.service"})"));
    EXPECT_TRUE(matches(R"({"unit":"glob:ci@*.service"})"));
    EXPECT_FALSE(matches(R"({"unit":"ci.service"})"));
    EXPECT_TRUE(matches(R"({"cgroup":"glob:/system.slice/*"})"));
    EXPECT_FALSE(matches(R"({"container":"glob:*"})"));
    PeerIdentity user_made = ci();
    user_made.process.cgroup = "/user.slice/user-1000.slice/user@1000.service/ci@3.service";
    EXPECT_FALSE(matches(R"({"unit":"ci@3.service"})", user_made));
    EXPECT_TRUE(matches(R"({"unit":"user@1000.service/ci@3.service"})", user_made));
    PeerIdentity contained = ci();
    const std::string id = "0123456789ab" + std::string(52, 'c');
    contained.process.cgroup = "/system.slice/docker-" + id + ".scope";
    EXPECT_TRUE(matches(R"({"container":")" + id + "\"}", contained));
    EXPECT_TRUE(matches(R"({"container":"0123456789ab"})", contained));
    EXPECT_TRUE(matches(R"({"container":"glob:*"})", contained));
    EXPECT_FALSE(matches(R"({"container":"0123456789a"})", contained));  // too short to mean one
}

TEST(Grants, WhatTheClientSaysOfItself) {
    EXPECT_TRUE(matches(R"({"client":"cursor"})", ci(), "cursor"));
    EXPECT_FALSE(matches(R"({"client":"cursor"})", ci(), ""));
    EXPECT_FALSE(matches(R"({"client":"glob:*"})", ci(), ""));
    EXPECT_FALSE(matches(R"({"client":"cursor","user":"alice"})", ci(), "cursor"));
    EXPECT_TRUE(matches(R"({"client":"cursor"})", PeerIdentity(), "cursor"));  // on another host
}

TEST(Grants, NobodyKnownIsNobody) {
    for (const char* match :
         {R"({"user":"glob:*"})", R"({"exe":"glob:*"})", R"({"cgroup":"glob:*"})", R"({"unit":"glob:*"})", R"({"user":"0"})"}) {
        EXPECT_FALSE(matches(match, PeerIdentity())) << match;
    }
}

TEST(Grants, HostileNamesAreTexts) {
    PeerIdentity hostile = ci();
    hostile.parents = {{10, "\x1b]0;x\x07\"},{\n", "/tmp/a\nb\" (deleted)"}};
    hostile.process.exe = "/tmp/\x1b[31m\xff\"";
    hostile.process.cgroup = "/\n0::/system.slice/ci@3.service";
    EXPECT_FALSE(matches(R"({"unit":"ci@3.service"})", hostile));
    EXPECT_FALSE(matches(R"({"parents":"claude"})", hostile));
    EXPECT_TRUE(matches(R"({"exe":"glob:/tmp/*"})", hostile));
}

TEST(Grants, TheOneWithTheMostMembersHasTheCaller) {
    EXPECT_EQ(found(R"("a":{"match":{"user":"ci"}},"b":{"match":{"user":"ci","group":"root"}})"), "b");
    EXPECT_EQ(found(R"("b":{"match":{"user":"ci","group":"root"}},"a":{"match":{"user":"ci"}})"), "b");
    EXPECT_EQ(found(R"("a":{"match":{"user":"ci"}},"b":{"match":{"exe":"/usr/bin/node"}})"), "b");
    EXPECT_EQ(found(R"("a":{"match":{"user":"ci","client":"x"}},"b":{"match":{"exe":"/usr/bin/node"}})", ci(), "x"), "a");
    EXPECT_EQ(found(R"("a":{"match":{"user":"ci","client":"x"}},"b":{"match":{"exe":"/usr/bin/node"}})", ci(), "y"), "b");
}

TEST(Grants, EqualOnesAreATie) {
    EXPECT_EQ(found(R"("a":{"match":{"user":"ci"}},"b":{"match":{"user":"glob:c*"}})"), "tie");
    EXPECT_EQ(
        found(R"("a":{"match":{"user":"ci"}},"b":{"match":{"user":"glob:c*"}},"c":{"match":{"user":"1000","group":"root"}})"),
        "c");
}

TEST(Grants, LabelsAreTextsNumbersAndBooleans) {
    const auto table = load(file(R"("g":{"match":{"user":"ci"},"labels":{"team":"build","tier":2,"rate":1.50,"night":true}})"));
    const Grant& grant = table->grants()[0];
    EXPECT_EQ(grant.label("team").text, "build");
    EXPECT_EQ(grant.label("tier").kind, ValueKind::number);
    EXPECT_EQ(grant.label("rate").text, "1.50");
    EXPECT_EQ(grant.label("night").kind, ValueKind::boolean);
    EXPECT_EQ(grant.label("day").kind, ValueKind::absent);
}

TEST(Grants, WhatBecomesOfOthers) {
    EXPECT_FALSE(load(file(""))->denies_others());
    EXPECT_FALSE(load(file("", R"(,"default":"allow")"))->denies_others());
    EXPECT_TRUE(load(file("", R"(,"default":"deny")"))->denies_others());
    EXPECT_FALSE(GrantTable().denies_others());
    EXPECT_NE(load(file(""))->revision(), load(file("", R"(,"default":"deny")"))->revision());
}

TEST(GrantProblems, EachHasItsPlaceAndTheNearestKey) {
    const std::string lines = problems_of(
        "{\"version\":\"1\",\n \"grants\":{\"ci\":{\"match\":{\"usr\":\"ci\"},\n  \"lables\":{}}},\n \"defalt\":\"deny\"}");
    EXPECT_THAT(lines, HasSubstr("grants.json:2:27: /grants/ci/match/usr: unknown key \"usr\"; did you mean \"user\"?"));
    EXPECT_THAT(lines, HasSubstr("grants.json:3:3: /grants/ci/lables: unknown key \"lables\"; did you mean \"labels\"?"));
    EXPECT_THAT(lines, HasSubstr("grants.json:4:2: /defalt: unknown key \"defalt\"; did you mean \"default\"?"));
}

TEST(GrantProblems, WhatIsRefused) {
    const auto grant = [](const std::string& match) { return problems_of(file(R"("g":{"match":)" + match + "}")); };
    EXPECT_THAT(grant("{}"), HasSubstr("matches nobody"));
    EXPECT_THAT(grant(R"({"exe":"/usr/bin/*"})"), HasSubstr("\"glob:/usr/bin/*\" for a pattern"));
    EXPECT_THAT(grant(R"({"exe":"glob:["})"), HasSubstr("/grants/g/match/exe"));
    EXPECT_THAT(grant(R"({"exe":"glob:"})"), HasSubstr("empty"));
    EXPECT_THAT(grant(R"({"exe":7})"), HasSubstr("expected a string, found an integer"));
    EXPECT_THAT(grant(R"({"group":"glob:a*"})"), HasSubstr("is no pattern"));
    EXPECT_THAT(grant(R"({"exe_sha256":"12"})"), HasSubstr("64 hex digits"));
    EXPECT_THAT(grant(R"({"parents":[]})"), HasSubstr("is empty"));
    EXPECT_THAT(grant(R"({"parents":["a",7]})"), HasSubstr("/grants/g/match/parents/1: expected a string"));
    EXPECT_THAT(grant(R"({"parents":["a*"]})"), HasSubstr("/grants/g/match/parents/0"));
    EXPECT_THAT(grant(R"({"user":"a\u001bb"})"), HasSubstr("control character"));
    EXPECT_THAT(problems_of(file(R"("g":{})")), HasSubstr("key \"match\" is missing"));
    EXPECT_THAT(problems_of(file(R"("g":7)")), HasSubstr("/grants/g: expected an object"));
    for (const char* name : {"", "a b", "uid:0 exe:/bin/sh", "a\\u001b", "host:1", "\xc3\xa9"}) {
        EXPECT_THAT(problems_of(file("\"" + std::string(name) + R"(":{"match":{"user":"ci"}})")), HasSubstr("name")) << name;
    }
    EXPECT_THAT(problems_of(R"({"version":"2","grants":{}})"), HasSubstr("version \"2\""));
    EXPECT_THAT(problems_of(R"({"grants":{}})"), HasSubstr("\"version\" is missing"));
    EXPECT_THAT(problems_of(R"({"version":"1"})"), HasSubstr("\"grants\" is missing"));
    EXPECT_THAT(problems_of(R"({"version":"1","grants":{},"grants":{}})"), HasSubstr("grants"));
    EXPECT_THAT(problems_of("[]"), HasSubstr("expected an object"));
    EXPECT_THAT(problems_of(""), HasSubstr("grants.json:1:1"));
}

TEST(GrantProblems, Labels) {
    const auto labels = [](const std::string& text) {
        return problems_of(file(R"("g":{"match":{"user":"ci"},"labels":)" + text + "}"));
    };
    EXPECT_THAT(labels(R"({"name":"x"})"), HasSubstr("choose another name"));
    EXPECT_THAT(labels(R"({"key":"x"})"), HasSubstr("choose another name"));
    EXPECT_THAT(labels(R"({"a.b":"x"})"), HasSubstr("letters, digits"));
    EXPECT_THAT(labels(R"({"a":null})"), HasSubstr("found null"));
    EXPECT_THAT(labels(R"({"a":["x"]})"), HasSubstr("found an array"));
}

TEST(GrantProblems, TwoThatMatchTheSame) {
    EXPECT_THAT(problems_of(file(R"("a":{"match":{"user":"ci"}},"b":{"match":{"user":"ci"}})")),
                HasSubstr("/grants/b: matches whom \"a\" matches"));
}

TEST(GrantProblems, TooMany) {
    std::string grants;
    for (size_t i = 0; i <= kGrantsMax; ++i) {
        grants += (i ? ",\"g" : "\"g") + std::to_string(i) + R"(":{"match":{"user":"u)" + std::to_string(i) + "\"}}";
    }
    EXPECT_THAT(problems_of(file(grants)), HasSubstr("more than 1000"));
}

}  // namespace
}  // namespace callgate
