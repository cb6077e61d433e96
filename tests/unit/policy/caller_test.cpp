#include "policy/caller.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "policy/grant.h"

namespace callgate {
namespace {

TEST(Caller, WhatIsNotKnownIsAbsent) {
    std::string digits;
    for (const auto& [name, fact] : kCallerFacts) {
        EXPECT_EQ(fact_of(fact, Caller{}, digits).kind, ValueKind::absent) << name;
    }
    PeerIdentity elsewhere;
    Caller caller;
    caller.peer = &elsewhere;
    EXPECT_EQ(fact_of(CallerFact::peer_uid, caller, digits).kind, ValueKind::absent);
}

TEST(Caller, FactsAreTextsAndNumbers) {
    PeerIdentity peer;
    peer.process.pid = 7;
    peer.process.uid = 4294967295;
    peer.process.exe = "/usr/bin/node";
    Caller caller;
    caller.peer = &peer;
    caller.client_name = "c";
    std::string digits;
    const SeenValue uid = fact_of(CallerFact::peer_uid, caller, digits);
    EXPECT_EQ(uid.kind, ValueKind::number);
    EXPECT_EQ(uid.text, "4294967295");
    EXPECT_EQ(fact_of(CallerFact::peer_exe, caller, digits).text, "/usr/bin/node");
    EXPECT_EQ(fact_of(CallerFact::client_name, caller, digits).kind, ValueKind::string);
}

TEST(Caller, AGrantHasAKeyANameAndLabels) {
    std::string digits;
    Caller caller;
    caller.grant = "uid:0 exe:/bin/sh";
    EXPECT_EQ(fact_of(CallerFact::grant_name, caller, digits).kind, ValueKind::absent);
    EXPECT_EQ(fact_of(CallerFact::grant_label, caller, digits, "team").kind, ValueKind::absent);
    Grant grant;
    grant.name = "ci";
    grant.labels = {{"team", ValueKind::string, "build"}, {"tier", ValueKind::number, "2"}};
    caller.named_grant = &grant;
    EXPECT_EQ(fact_of(CallerFact::grant_name, caller, digits).text, "ci");
    EXPECT_EQ(fact_of(CallerFact::grant_label, caller, digits, "team").text, "build");
    EXPECT_EQ(fact_of(CallerFact::grant_label, caller, digits, "tier").kind, ValueKind::number);
    EXPECT_EQ(fact_of(CallerFact::grant_label, caller, digits, "teams").kind, ValueKind::absent);
}

TEST(ToolAnnotations, AreBoundedAndReplaced) {
    ToolAnnotations known;
    known.remember("a", R"({"x":1})");
    EXPECT_EQ(known.of("a"), R"({"x":1})");
    EXPECT_EQ(known.of("b"), "");
    known.remember("a", std::string(kAnnotationsBytesMax + 1, ' '));
    EXPECT_EQ(known.of("a"), "");
    for (size_t i = 0; i < kAnnotatedToolsMax + 5; ++i) known.remember(std::to_string(i), "{}");
    EXPECT_EQ(known.of("0"), "{}");
    EXPECT_EQ(known.of(std::to_string(kAnnotatedToolsMax + 4)), "");
}

}  // namespace
}  // namespace callgate
