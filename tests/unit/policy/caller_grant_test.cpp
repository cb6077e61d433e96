// The grant of one caller, while the file and what it says of itself change.
#include "policy/caller_grant.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace callgate {
namespace {

std::shared_ptr<const GrantTable> table(const std::string& grants, const std::string& more = "") {
    std::vector<PolicyProblem> problems;
    auto made = GrantTable::load(R"({"version":"1","grants":{)" + grants + "}" + more + "}", "grants.json", problems);
    for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
    return made;
}

class OneCaller : public ::testing::Test {
  protected:
    OneCaller() {
        peer_.process.pid = 1;
        peer_.process.user = "ci";
        peer_.process.exe = "/usr/bin/node";
    }
    Caller caller(const CallerGrant& grant) {
        Caller made;
        grant.apply_to(made);
        return made;
    }
    PeerIdentity peer_;
    GrantsInForce in_force_;
};

TEST_F(OneCaller, WithoutAFileHasTheDefaultGrant) {
    const CallerGrant grant(in_force_, default_grant(peer_), peer_);
    EXPECT_EQ(grant.key(), "uid:0 exe:/usr/bin/node");
    EXPECT_EQ(caller(grant).named_grant, nullptr);
    EXPECT_EQ(caller(grant).refusal, GrantRefusal::none);
}

TEST_F(OneCaller, ChangesWithTheFile) {
    CallerGrant grant(in_force_, "default", peer_);
    in_force_.table = table(R"("ci":{"match":{"user":"ci"}})");
    EXPECT_TRUE(grant.know_client(""));
    EXPECT_EQ(grant.key(), "ci");
    EXPECT_EQ(caller(grant).named_grant->name, "ci");
    in_force_.table = table(R"("ci":{"match":{"user":"ci"},"labels":{"a":1}})");
    EXPECT_FALSE(grant.know_client(""));  // the same name
    EXPECT_EQ(caller(grant).named_grant->label("a").text, "1");
    in_force_.table = table("");
    EXPECT_TRUE(grant.know_client(""));
    EXPECT_EQ(grant.key(), "default");
}

TEST_F(OneCaller, ChangesWithWhatItSaysOfItself) {
    in_force_.table = table(R"("ci":{"match":{"user":"ci"}},"cursor":{"match":{"user":"ci","client":"cursor"}})");
    CallerGrant grant(in_force_, "default", peer_);
    EXPECT_EQ(grant.key(), "ci");
    EXPECT_TRUE(grant.know_client("cursor"));
    EXPECT_EQ(grant.key(), "cursor");
    EXPECT_FALSE(grant.know_client("cursor"));
    EXPECT_TRUE(grant.know_client("other"));
    EXPECT_EQ(grant.key(), "ci");
}

TEST_F(OneCaller, IsRefusedForATieAndWhereOthersAreDenied) {
    in_force_.table = table(R"("a":{"match":{"user":"ci"}},"b":{"match":{"user":"glob:c*"}})");
    CallerGrant grant(in_force_, "default", peer_);
    EXPECT_EQ(caller(grant).refusal, GrantRefusal::tie);
    EXPECT_EQ(grant.key(), "default");
    in_force_.table = table(R"("a":{"match":{"user":"alice"}})", R"(,"default":"deny")");
    EXPECT_TRUE(grant.know_client(""));
    EXPECT_EQ(caller(grant).refusal, GrantRefusal::no_grant);
    in_force_.table = table(R"("a":{"match":{"user":"ci"}})", R"(,"default":"deny")");
    EXPECT_TRUE(grant.know_client(""));
    EXPECT_EQ(caller(grant).refusal, GrantRefusal::none);
}

TEST_F(OneCaller, TheHashIsThatOfTheProcessThatWasSeen) {
    auto self = identify_peer(getpid());
    auto hash = exe_sha256_of(getpid());
    ASSERT_TRUE(self.ok() && hash.ok());
    in_force_.table = table(R"("me":{"match":{"exe_sha256":")" + *hash + "\"}}");
    EXPECT_EQ(CallerGrant(in_force_, "default", *self).key(), "me");
    PeerIdentity earlier = *self;  // had the same number
    --earlier.process.start_time;
    EXPECT_EQ(CallerGrant(in_force_, "default", earlier).key(), "default");
}

}  // namespace
}  // namespace callgate
