// What is let through, how often, and what of it outlives the agent.
#include "approval/book.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>

#include <map>
#include <random>

#include "approval_world.h"
#include "base/limits.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSecond = kApprovalSecond, kStart = kApprovalStart, kMinute = 60 * kSecond;

TEST_F(ApprovalBookTest, IsAskedForOnceAndLetThroughOnce) {
    EXPECT_EQ(sent(call), "-32003");
    const std::string id = call.id;
    EXPECT_EQ(id.size(), 10u);
    EXPECT_THAT(call.reason, HasSubstr("callgate approvals approve " + id + "\" on this host before 2026-01-01T00:30:00Z"));
    EXPECT_EQ(sent(call), "-32003");
    EXPECT_EQ(call.id, id);
    EXPECT_EQ(life->book.pending(), 1u);
    EXPECT_EQ(approved(id), "approved");
    EXPECT_EQ(life->book.pending(), 0u);
    EXPECT_EQ(sent(call), "passed");
    EXPECT_EQ(sent(call), "-32003");
    EXPECT_NE(call.id, id);
    EXPECT_EQ(life->take_events(), "requested wire_money\napproved wire_money\nused wire_money\nrequested wire_money\n");
    const ApprovalRecord& record = *life->book.find(id);
    EXPECT_EQ(state_name(record), "used");
    EXPECT_EQ(record.by.login, "alice");
    EXPECT_EQ(record.by.uid, 0);
}

TEST_F(ApprovalBookTest, WhatWasUsedInATurnThatWasNeverCommittedIsGoodOnceMore) {
    sent(call);
    approved(call.id);
    EXPECT_EQ(call.sent(life->book, kStart, "7.1"), "passed");
    restart();
    EXPECT_TRUE(life->book.take_back("7.2"));
    EXPECT_TRUE(life->book.take_back(""));
    EXPECT_EQ(life->book.records().front()->used, 1);
    EXPECT_TRUE(life->book.take_back("7.1"));
    EXPECT_EQ(call.sent(life->book, kStart, "7.1"), "passed");
    EXPECT_EQ(sent(call), "-32003");
}

TEST_F(ApprovalBookTest, OfAWindowOnlyTheUsesOfThatTurnAreTakenBack) {
    call.rules.dedupe_window_s = 600;
    sent(call);
    approved(call.id);
    for (const char* turn : {"7.1", "7.2", "7.2"}) EXPECT_EQ(call.sent(life->book, kStart, turn), "passed");
    restart();
    EXPECT_TRUE(life->book.take_back("7.2"));
    EXPECT_EQ(life->book.records().front()->used, 1);
    restart();
    EXPECT_EQ(life->book.records().front()->used, 1);
}

TEST_F(ApprovalBookTest, ATableThatKnowsNoTurnsIsGoneOnWith) {
    sent(call);
    approved(call.id);
    life.reset();
    {
        auto database = std::move(Database::open(path).value());
        for (const char* sql : {"ALTER TABLE approvals DROP COLUMN used_turn", "ALTER TABLE approvals DROP COLUMN used_in_turn",
                                "UPDATE owners SET version = 2 WHERE name = 'approvals'"})
            ASSERT_TRUE(database->execute(sql)) << sql;
    }
    restart();
    EXPECT_EQ(sent(call), "passed");
}

TEST_F(ApprovalBookTest, AnotherSpellingIsTheSameCallAndAnotherCallIsNot) {
    call.arguments = R"({"to":"bob","amount":5})";
    sent(call);
    approved(call.id);
    for (const auto& [member, value] : std::vector<std::pair<std::string ApprovalCall::*, std::string>>{
             {&ApprovalCall::arguments, R"({"to":"bob","amount":6})"},
             {&ApprovalCall::tool, "wire_monei"},
             {&ApprovalCall::grant, "uid:2 exe:/bin/c"},
             {&ApprovalCall::revision, "r2"},
             {&ApprovalCall::policy, "bank2"},
             {&ApprovalCall::method, "tools/batch"}}) {
        ApprovalCall other = call;
        other.*member = value;
        EXPECT_EQ(sent(other), "-32003") << value;
    }
    ApprovalCall carried = call;
    carried.is_carried = true;
    EXPECT_EQ(sent(carried), "-32003");
    call.arguments = R"({ "amount" : 5.0, "t\u006f" : "bob" })";
    EXPECT_EQ(sent(call), "passed");
}

// Two servers under one policy: what was approved of one is not of the other, and outlasts a restart of the first.
TEST_F(ApprovalBookTest, AnApprovalIsForOneServer) {
    call.server.process.pid = 7;
    call.server.process.user = "alice";
    call.server.process.uid = 1000;
    call.server.process.exe = "/usr/bin/node";
    call.server.process.cwd = "/srv/a";
    call.server.package.name = "bank";
    call.server.command = "node bank.js --account a";
    sent(call);
    approved(call.id);
    const ApprovalRecord& record = *life->book.find(call.id);
    EXPECT_EQ(record.server, "bank");
    EXPECT_EQ(record.server_process, "user alice (uid 1000), /usr/bin/node, in /srv/a: node bank.js --account a");
    ApprovalCall other = call;
    other.server.command = "node bank.js --account b";
    EXPECT_EQ(sent(other), "-32003");
    restart();
    call.server.process.pid = 8;
    EXPECT_EQ(sent(call), "passed");
}

// What an older agent asked for covered less: none of it may count.
TEST_F(ApprovalBookTest, AnOlderTableIsBegunAnew) {
    life.reset();
    {
        auto database = Database::open(path);
        ASSERT_TRUE(database) << database.error().text();
        ASSERT_TRUE((*database)
                        ->execute("DROP TABLE approvals; CREATE TABLE approvals (id TEXT PRIMARY KEY, state INTEGER);"
                                  "INSERT INTO approvals VALUES ('0123456789', 1);"
                                  "UPDATE owners SET version = 1 WHERE name = 'approvals'")
                        .ok());
    }
    life = std::make_unique<ApprovalLife>(path);
    EXPECT_TRUE(life->book.records().empty());
    EXPECT_EQ(sent(call), "-32003");
}

TEST_F(ApprovalBookTest, NoArgumentsAreAnEmptyObject) {
    call.arguments = "";
    sent(call);
    const std::string id = call.id;
    call.arguments = "{ }";
    sent(call);
    EXPECT_EQ(call.id, id);
    EXPECT_EQ(life->book.find(id)->arguments, "{}");
}

TEST_F(ApprovalBookTest, ADenialStaysUntilItExpires) {
    sent(call);
    EXPECT_EQ(decided(call.id, ApprovalState::denied, "not today"), "denied");
    EXPECT_EQ(sent(call, kStart + 29 * kMinute), "-31403");
    EXPECT_THAT(call.reason, HasSubstr("A human has denied it (approval " + call.id + "): not today. Do not repeat it."));
    EXPECT_EQ(call.rule, "/tools/wire_money/action");
    const std::string id = call.id;
    EXPECT_EQ(sent(call, kStart + 30 * kMinute), "-32003");
    EXPECT_NE(call.id, id);
}

TEST_F(ApprovalBookTest, ExpiryEndsARequestAndAnApproval) {
    sent(call);
    const std::string first = call.id;
    EXPECT_EQ(sent(call, kStart + 30 * kMinute), "-32003");
    const std::string second = call.id;
    EXPECT_NE(first, second);
    EXPECT_THAT(approved(first, kStart + 30 * kMinute), HasSubstr("there is none, or it has expired"));
    EXPECT_EQ(approved(second, kStart + 31 * kMinute), "approved");
    EXPECT_EQ(sent(call, kStart + 60 * kMinute), "-32003");
    EXPECT_EQ(
        life->take_events(),
        "requested wire_money\nexpired wire_money\nrequested wire_money\napproved wire_money\nexpired wire_money\nrequested wire_money\n");
}

TEST_F(ApprovalBookTest, SweepingTellsWhatExpiredAndAsksToBeWokenForTheRest) {
    std::vector<int64_t> woken;
    life->book.wake = [&](int64_t at_ns) { woken.push_back(at_ns); };
    sent(call);
    ApprovalCall later;
    later.tool = "later";
    sent(later, kStart + kMinute);
    EXPECT_EQ(woken, std::vector<int64_t>{kStart + 30 * kMinute});
    life->take_events();
    life->book.sweep(kStart + 30 * kMinute);
    EXPECT_EQ(life->take_events(), "expired wire_money\n");
    EXPECT_EQ(woken.back(), kStart + 31 * kMinute);
    life->book.sweep(kStart + 31 * kMinute);
    EXPECT_EQ(life->book.pending(), 0u);
    EXPECT_TRUE(life->book.records().empty());
}

// Of another revision every call is another one: what nobody can use any more makes room, and says so.
TEST_F(ApprovalBookTest, AChangedPolicyEndsWhatWasAskedForUnderIt) {
    sent(call);
    const std::string pending = call.id;
    ApprovalCall other = call;
    other.tool = "approved";
    sent(other);
    approved(other.id);
    ApprovalCall elsewhere = call;
    elsewhere.policy = "shop";
    sent(elsewhere);
    life->take_events();
    std::vector<std::string> causes;
    life->book.on_event = [&](ApprovalEvent event, const ApprovalRecord& record) {
        causes.push_back(std::string(name(event)) + " " + record.tool + ": " + record.cause);
    };
    life->book.end_outdated([](std::string_view, std::string_view revision) { return revision == "r1"; });
    EXPECT_TRUE(causes.empty());
    life->book.end_outdated(
        [](std::string_view policy, std::string_view revision) { return policy != "bank" || revision == "r2"; });
    EXPECT_THAT(causes, ::testing::UnorderedElementsAre("expired wire_money: the policy has changed",
                                                        "expired approved: the policy has changed"));
    EXPECT_EQ(life->book.find(pending), nullptr);
    EXPECT_NE(life->book.find(elsewhere.id), nullptr);
    EXPECT_EQ(life->book.pending(), 1u);
    restart();
    EXPECT_EQ(life->book.records().size(), 1u);
}

TEST_F(ApprovalBookTest, WhatIsTakenIsNobodyElses) {
    sent(call);
    approved(call.id);
    Verdict first, second;
    ASSERT_TRUE(call.is_approved(life->book, kStart, first));
    EXPECT_FALSE(call.is_approved(life->book, kStart, second));
    EXPECT_EQ(second.rule, "(approved once)");
    // The first is over a limit: nothing was used.
    life->book.give_back(first.approvals);
    second.reset();
    ASSERT_TRUE(call.is_approved(life->book, kStart, second));
    EXPECT_TRUE(life->book.use(second.approvals, kStart, {}).ok());
    EXPECT_EQ(sent(call), "-32003");
}

TEST_F(ApprovalBookTest, InItsWindowADecisionIsForEveryCallThatSaysTheSame) {
    call.rules.dedupe_window_s = 600;
    sent(call);
    const std::string id = call.id;
    approved(id);
    Verdict first, second;
    ASSERT_TRUE(call.is_approved(life->book, kStart, first));
    ASSERT_TRUE(call.is_approved(life->book, kStart, second));
    const std::vector<ApprovalId> both = {first.approvals[0], second.approvals[0]};
    EXPECT_TRUE(life->book.use(both, kStart, {}).ok());
    EXPECT_EQ(life->book.find(id)->used, 2);
    EXPECT_EQ(sent(call, kStart + 599 * kSecond), "passed");
    restart(kStart + 599 * kSecond);
    EXPECT_EQ(sent(call, kStart + 599 * kSecond), "passed");
    EXPECT_EQ(sent(call, kStart + 600 * kSecond), "-32003");
    EXPECT_NE(call.id, id);
}

TEST_F(ApprovalBookTest, AWindowOutlastsAShorterExpiry) {
    call.rules.timeout_s = 60;
    call.rules.dedupe_window_s = 600;
    sent(call);
    decided(call.id, ApprovalState::denied, "", kStart + 30 * kSecond);
    EXPECT_EQ(sent(call, kStart + 629 * kSecond), "-31403");
    EXPECT_EQ(sent(call, kStart + 630 * kSecond), "-32003");
}

TEST_F(ApprovalBookTest, ADecisionIsMadeOnceButAnApprovalCanBeTakenBack) {
    EXPECT_THAT(approved("nosuchid00"), HasSubstr("there is none"));
    sent(call);
    approved(call.id);
    EXPECT_THAT(approved(call.id), HasSubstr("is approved already, by root at 2026-01-01T00:00:00Z"));
    EXPECT_EQ(decided(call.id, ApprovalState::denied, "changed my mind"), "denied");
    EXPECT_EQ(sent(call), "-31403");
    EXPECT_THAT(approved(call.id), HasSubstr("is denied already"));
    ApprovalCall other;
    other.tool = "other";
    sent(other);
    const std::string used = other.id;
    approved(used);
    EXPECT_EQ(sent(other), "passed");
    EXPECT_THAT(decided(used, ApprovalState::denied), HasSubstr("is used already"));
}

TEST_F(ApprovalBookTest, AnApprovalInItsWindowCanBeEnded) {
    call.rules.dedupe_window_s = 600;
    sent(call);
    std::string id = call.id;
    approved(id);
    EXPECT_EQ(sent(call), "passed");
    life->take_events();
    EXPECT_EQ(decided(id, ApprovalState::revoked, "no longer"), "revoked");
    EXPECT_EQ(life->take_events(), "revoked wire_money\n");
    restart();
    EXPECT_EQ(state_name(*life->book.find(id)), "revoked");
    EXPECT_EQ(life->book.find(id)->decision_reason, "no longer");
    EXPECT_EQ(life->book.find(id)->used, 1);
    EXPECT_EQ(sent(call), "-32003");
    EXPECT_NE(call.id, id);
    // Denied instead, a repeated call is denied.
    id = call.id;
    approved(id);
    EXPECT_EQ(sent(call), "passed");
    EXPECT_EQ(decided(id, ApprovalState::denied), "denied");
    EXPECT_EQ(sent(call), "-31403");
    EXPECT_EQ(decided(id, ApprovalState::revoked), "revoked");
    EXPECT_EQ(sent(call), "-32003");
}

TEST_F(ApprovalBookTest, OnlyWhatIsDecidedAndHoldsCanBeRevoked) {
    sent(call);
    EXPECT_THAT(decided(call.id, ApprovalState::revoked), HasSubstr("is pending: approve or deny it"));
    approved(call.id);
    EXPECT_EQ(decided(call.id, ApprovalState::revoked), "revoked");
    EXPECT_THAT(decided(call.id, ApprovalState::revoked), HasSubstr("is revoked already, by root"));
    EXPECT_THAT(approved(call.id), HasSubstr("is revoked already"));
    EXPECT_THAT(decided(call.id, ApprovalState::denied), HasSubstr("is revoked already"));
    EXPECT_EQ(sent(call), "-32003");
    approved(call.id);
    EXPECT_EQ(sent(call), "passed");
    EXPECT_THAT(decided(call.id, ApprovalState::revoked), HasSubstr("is used already"));
    life->take_events();
    life->book.sweep(kStart + 30 * kMinute);
    EXPECT_EQ(life->take_events(), "");
    EXPECT_TRUE(life->book.records().empty());
}

TEST_F(ApprovalBookTest, EverythingOutlivesTheAgent) {
    call.arguments = R"({"text":"\u001b[31m"})";
    sent(call);
    const std::string id = call.id;
    restart();
    EXPECT_EQ(life->book.pending(), 1u);
    EXPECT_EQ(sent(call), "-32003");
    EXPECT_EQ(call.id, id);
    approved(id);
    restart();
    EXPECT_EQ(life->book.find(id)->by.login, "alice");
    EXPECT_EQ(life->book.find(id)->arguments, call.arguments);
    EXPECT_EQ(sent(call), "passed");
    restart();
    EXPECT_EQ(state_name(*life->book.find(id)), "used");
    EXPECT_EQ(sent(call), "-32003");
    EXPECT_NE(call.id, id);
    decided(call.id, ApprovalState::denied, "no");
    restart();
    EXPECT_EQ(sent(call), "-31403");
    life->take_events();
    restart(kStart + 30 * kMinute);
    EXPECT_TRUE(life->book.records().empty());
}

TEST_F(ApprovalBookTest, WhatExpiredWhileNoAgentRanIsToldByTheNext) {
    sent(call);
    restart(kStart + kMinute * 60);
    EXPECT_EQ(life->take_events(), "expired wire_money\n");
    restart(kStart + kMinute * 60);
    EXPECT_EQ(life->take_events(), "");
}

// At every point between two calls the agent is killed; an approval is used once in all its lives together.
TEST_F(ApprovalBookTest, AKilledAgentDoesNotUseItTwice) {
    sent(call);
    approved(call.id);
    life.reset();
    int passed = 0;
    for (int round = 0; round < 6; ++round) {
        int pipes[2];
        ASSERT_EQ(pipe(pipes), 0);
        const pid_t child = fork();
        if (child == 0) {
            ApprovalLife killed(path);
            if (round % 2 == 0) raise(SIGKILL);  // before it is used
            const std::string outcome = call.sent(killed.book);
            if (outcome == "passed") (void)!write(pipes[1], "x", 1);
            raise(SIGKILL);
        }
        close(pipes[1]);
        char byte;
        while (read(pipes[0], &byte, 1) == 1) ++passed;
        close(pipes[0]);
        waitpid(child, nullptr, 0);
    }
    EXPECT_EQ(passed, 1);
}

TEST_F(ApprovalBookTest, WithoutItsFileNothingIsLetThrough) {
    WaitingCalls waiting;
    ApprovalBook book(waiting);
    EXPECT_EQ(call.sent(book), "-31403");
    EXPECT_EQ(call.rule, "(approval not recorded)");
    EXPECT_THAT(book.problem(), HasSubstr("state.db"));
}

// However the clock is set, nothing lives longer than its time; and nothing of it is forgotten.
TEST_F(ApprovalBookTest, AClockThatIsSetBackMakesNothingLiveLonger) {
    const int64_t hours = 5 * 60 * kMinute;
    sent(call);
    const std::string id = call.id;
    approval_steady_ns += 10 * kMinute;
    EXPECT_EQ(sent(call, kStart + 10 * kMinute - hours), "-32003");
    EXPECT_EQ(call.id, id);
    EXPECT_EQ(life->book.find(id)->requested_ns, kStart - hours);
    EXPECT_THAT(call.reason, HasSubstr("before 2025-12-31T19:30:00Z"));
    EXPECT_EQ(approved(id, kStart + 10 * kMinute - hours), "approved");
    // The next agent finds it so, too.
    restart(kStart + 11 * kMinute - hours);
    EXPECT_EQ(state_name(*life->book.find(id)), "approved");
    approval_steady_ns += 20 * kMinute;
    EXPECT_EQ(sent(call, kStart + 30 * kMinute - hours), "-32003");
    EXPECT_NE(call.id, id);
}

TEST_F(ApprovalBookTest, AClockThatWasSetBackWhileNoAgentRanMakesNothingLiveLonger) {
    sent(call);
    approved(call.id);
    restart(kStart - 5 * 60 * kMinute);
    approval_steady_ns += 29 * kMinute;
    life->book.sweep(kStart - 5 * 60 * kMinute + 29 * kMinute);
    EXPECT_EQ(life->book.records().size(), 1u);
    approval_steady_ns += kMinute;
    life->book.sweep(kStart - 5 * 60 * kMinute + 30 * kMinute);
    EXPECT_EQ(life->book.records().size(), 0u);
}

// As long as it is ahead, what expires has expired; back again, what is asked for lives its time.
TEST_F(ApprovalBookTest, AClockThatIsAheadForAWhile) {
    sent(call);
    EXPECT_EQ(sent(call, kStart + 60 * kMinute), "-32003");
    const std::string id = call.id;
    EXPECT_EQ(approved(id), "approved");
    EXPECT_EQ(life->book.find(id)->expires_ns, kStart + 30 * kMinute);
    EXPECT_EQ(sent(call), "passed");
}

// The file says that it was used, whatever this book believes.
TEST_F(ApprovalBookTest, TheFileHasTheLastWord) {
    sent(call);
    approved(call.id);
    ASSERT_TRUE(life->database->execute("UPDATE approvals SET used = 1").ok());
    EXPECT_THAT(sent(call), HasSubstr("to use"));
    EXPECT_THAT(life->book.problem(), HasSubstr("cannot be recorded"));
}

// Random calls, decisions, restarts and time: never more uses than approvals, and never a call that nobody approved.
TEST_F(ApprovalBookTest, UsesNeverExceedApprovals) {
    std::mt19937 random(3);
    std::map<std::string, int> approvals, uses;
    int64_t now = kStart;
    for (int step = 0; step < 1500; ++step) {
        call.tool = "t" + std::to_string(random() % 4);
        switch (random() % 8) {
            case 0: now += static_cast<int64_t>(random() % 600) * kSecond; break;
            case 1:
                if (random() % 8 == 0) restart(now);
                break;
            case 2:
            case 3: {
                const auto records = life->book.records();
                if (records.empty()) break;
                const ApprovalRecord& record = *records[random() % records.size()];
                const std::string tool = record.tool;
                const std::string id(record.id.view());
                const bool was_unused = record.state == ApprovalState::approved && record.used == 0;
                if (random() % 4 == 0) {
                    if (decided(id, ApprovalState::revoked, "", now) == "revoked" && was_unused) --approvals[tool];
                } else if (approved(id, now) == "approved") {
                    ++approvals[tool];
                }
                break;
            }
            default:
                if (sent(call, now) == "passed") ++uses[call.tool];
                ASSERT_LE(uses[call.tool], approvals[call.tool]);
        }
    }
    EXPECT_GT(uses["t0"], 5);
}

}  // namespace
}  // namespace callgate
