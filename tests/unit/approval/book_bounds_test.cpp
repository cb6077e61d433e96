// How much may be asked for, and how long what is asked for may be.
#include <gmock/gmock.h>

#include "approval/book.h"
#include "approval_world.h"
#include "base/limits.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kStart = kApprovalStart, kMinute = 60 * kApprovalSecond;

class ApprovalBounds : public ApprovalBookTest {};

TEST_F(ApprovalBounds, RequestsAreBoundedForEachGrantAndInAll) {
    for (size_t i = 0; i < kApprovalsPendingPerGrantMax; ++i) {
        call.arguments = "{\"i\":" + std::to_string(i) + "}";
        EXPECT_EQ(sent(call), "-32003");
    }
    const std::string last = call.id;
    call.arguments = R"({"i":"one more"})";
    EXPECT_EQ(sent(call), "-31429");
    EXPECT_EQ(call.rule, "(too many approvals)");
    EXPECT_EQ(call.id, "");
    restart();
    EXPECT_EQ(sent(call), "-31429");
    decided(last, ApprovalState::denied);
    EXPECT_EQ(sent(call), "-32003");
    for (int grant = 0; life->book.pending() < kApprovalsPendingMax; ++grant) {
        call.grant = "g" + std::to_string(grant / 8);
        call.peer.process.pid = 1;
        call.peer.process.uid = static_cast<uid_t>(1000 + grant / 32);
        call.arguments = std::to_string(grant).insert(0, "{\"n\":") + "}";
        ASSERT_EQ(sent(call), "-32003");
    }
    call.grant = "another";
    EXPECT_EQ(sent(call), "-31429");
}

// What a client says of itself stands beside what the kernel says of it, however long it is.
TEST_F(ApprovalBounds, AClaimCrowdsNothingOut) {
    call.peer.process.pid = 4711;
    call.peer.process.uid = 1001;
    call.peer.process.user = "mallory";
    call.peer.process.exe = "/home/mallory/bin/agent";
    call.peer.process.cgroup = "/user.slice/user-1001.slice/session-3.scope";
    call.client_name = "root, /usr/bin/backup of user root" + std::string(kNameBytesMax, ' ');
    sent(call);
    restart();
    const ApprovalRecord& record = *life->book.find(call.id);
    EXPECT_EQ(record.client, "user mallory (uid 1001), pid 4711, unit session-3.scope, /home/mallory/bin/agent");
    EXPECT_THAT(record.client_claim, ::testing::StartsWith("root, /usr/bin/backup"));
    EXPECT_THAT(record.client_claim, ::testing::EndsWith("…"));
    EXPECT_LE(record.client_claim.size(), kNameBytesMax + 3);
    // Nothing is known of a client on another host but what it says.
    ApprovalCall remote;
    remote.grant = "host 192.0.2.7";
    remote.client_name = "cursor";
    sent(remote);
    EXPECT_EQ(life->book.find(remote.id)->client, "");
    EXPECT_EQ(life->book.find(remote.id)->client_claim, "cursor");
}

// Each of a user's programs is a grant of its own.
TEST_F(ApprovalBounds, OneUserLeavesRoomForOthers) {
    const auto ask = [&](uid_t uid, size_t program) {
        call.peer.process.pid = 1;
        call.peer.process.uid = uid;
        call.grant = "uid:" + std::to_string(uid) + " exe:/tmp/" + std::to_string(program);
        return sent(call);
    };
    for (size_t i = 0; i < kApprovalsPendingPerUserMax; ++i) EXPECT_EQ(ask(1000, i), "-32003");
    const std::string last = call.id;
    EXPECT_EQ(ask(1000, 1000), "-31429");
    EXPECT_EQ(call.rule, "(too many approvals)");
    EXPECT_THAT(call.reason, HasSubstr("of this user"));
    EXPECT_EQ(ask(1001, 0), "-32003");
    restart();
    EXPECT_EQ(ask(1000, 1000), "-31429");
    decided(last, ApprovalState::denied);
    EXPECT_EQ(ask(1000, 1000), "-32003");
    EXPECT_EQ(ask(1000, 1001), "-31429");
    life->book.sweep(kStart + 30 * kMinute);
    EXPECT_EQ(ask(1000, 1001), "-32003");
}

TEST_F(ApprovalBounds, LongArgumentsAreNotAskedFor) {
    const std::string text = "\"" + std::string(kApprovalArgumentsBytesMax, 'x') + "\"";
    call.params = R"({"name":"wire_money","arguments":{},"task":)" + text + "}";
    EXPECT_EQ(sent(call), "-31403");
    EXPECT_EQ(call.rule, "(arguments too long to approve)");
    call.params.clear();
    call.arguments = "{\"a\":" + text + "}";
    EXPECT_EQ(sent(call), "-31403");
    EXPECT_EQ(call.rule, "(arguments too long to approve)");
    // Nor is what would be short without what is ignored in it: it is not even read.
    call.arguments = "{}";
    call.params = R"({"name":"wire_money","arguments":{},"_meta":{"progressToken":")" +
                  std::string(8 * kApprovalArgumentsBytesMax, 'x') + "\"}}";
    EXPECT_EQ(sent(call), "-31403");
    EXPECT_EQ(call.rule, "(arguments too long to approve)");
    EXPECT_EQ(life->book.pending(), 0u);
}

TEST_F(ApprovalBounds, EverySpellingOfWhatCanBeShownIsShort) {
    std::string text, escaped;
    for (size_t i = 0; i < kApprovalArgumentsBytesMax - 100; ++i) {
        text += 'x';
        escaped += "\\u0078";
    }
    call.params = R"({"name":"wire_money","arguments":{},"task":")" + text + "\"}";
    EXPECT_EQ(sent(call), "-32003");
    const std::string id = call.id;
    call.params = R"({"name":"wire_money","arguments":{},"task":")" + escaped + "\"}";
    EXPECT_EQ(sent(call), "-32003");
    EXPECT_EQ(call.id, id);
}

}  // namespace
}  // namespace callgate
