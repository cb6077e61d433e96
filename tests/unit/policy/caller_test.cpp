#include "policy/caller.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace callgate {
namespace {

TEST(Caller, ContainersAreKnownByTheirCgroup) {
    const std::string id(64, 'a');
    EXPECT_EQ(container_of("/system.slice/docker-" + id + ".scope"), id);
    EXPECT_EQ(container_of("/docker/" + id), id);
    EXPECT_EQ(container_of("/kubepods.slice/cri-containerd-" + id + ".scope/inner"), id);
    EXPECT_EQ(container_of("/user.slice/libpod-" + id + ".scope/container"), id);
    for (const std::string& other : {std::string(), std::string("/user.slice"), "/docker/" + id.substr(1), "/docker/f" + id,
                                     "/docker/" + std::string(64, 'A'), "/x" + id}) {
        EXPECT_EQ(container_of(other), "") << other;
    }
}

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
