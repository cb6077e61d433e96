// A gate that goes on from a ledger, at any byte, is the gate that was there before.
#include "enforce/session_ledger.h"

#include <gtest/gtest.h>

#include <ctime>
#include <set>

#include "base/clock.h"
#include "enforce/pending_notes.h"
#include "gate_fixture.h"
#include "states_aside.h"

namespace callgate {
namespace {

constexpr char kPolicy[] = R"({"version":"1","default":"deny","hide":["hidden"],"tools":{"ok":{},
    "one":{"limits":[{"counter":"c","max_in_flight":1}]},"pinned":{"pin":true},
    "given":{"limits":[{"counter":"g","window":"day","max":1,"count_unanswered":false}]}}})";

class SessionLedgerTest : public ::testing::Test {
  protected:
    SessionLedgerTest() : memory_(Ledger::create().value()) { begin(); }

    void begin_anew() {
        memory_ = Ledger::create().value();
        begin();
        commit();
    }

    void begin() {
        fds_[0] = Fd::adopt(fcntl(memory_->memory().get(), F_DUPFD_CLOEXEC, 0));
        for (unsigned flow = 0; flow < 2; ++flow)
            fds_[1 + flow] = Fd::adopt(fcntl(memory_->pipe(static_cast<Ledger::Flow>(flow)).get(), F_DUPFD_CLOEXEC, 0));
        ledger_ = std::make_unique<SessionLedger>(std::move(memory_), states_.form());
        GateOptions options = world_.options(policy_);
        options.pins = &pins_;
        gate_ = std::make_unique<Gate>(std::move(options), world_.counters, *world_.log, to_server_, to_client_);
        gate_->note_changes();
    }
    // What was not committed is gone.
    void killed() {
        gate_.reset();
        ledger_.reset();
        to_server_.clear();
        to_client_.clear();
        auto opened = Ledger::open(std::move(fds_[0]), {std::move(fds_[1]), std::move(fds_[2])});
        ASSERT_TRUE(opened) << opened.error().text();
        memory_ = std::move(*opened);
        begin();
        Result<GateState> state = ledger_->gate_state();
        ASSERT_TRUE(state) << state.error().text();
        ASSERT_TRUE(gate_->restore(std::move(*state)));
        ledger_->go_on_with(*gate_);
        gate_->client_bytes(std::string(ledger_->bytes().unseen(Ledger::kToServer)));
        gate_->server_bytes(std::string(ledger_->bytes().unseen(Ledger::kToClient)));
        commit();
    }
    void commit() { ASSERT_TRUE(ledger_->commit(*gate_, to_server_, to_client_, {})); }
    void client(std::string_view bytes) {
        ASSERT_TRUE(ledger_->bytes().add(Ledger::kToServer, bytes));
        gate_->client_bytes(bytes);
    }
    void server(std::string_view bytes) {
        ASSERT_TRUE(ledger_->bytes().add(Ledger::kToClient, bytes));
        gate_->server_bytes(bytes);
    }
    std::string written_to_server() { return ledger_->bytes().unwritten(Ledger::kToServer); }
    std::string written_to_client() { return ledger_->bytes().unwritten(Ledger::kToClient); }

    void ask_for_list() {
        client(R"({"jsonrpc":"2.0","id":"l","method":"tools/list"})"
               "\n");
        commit();
    }
    bool may_call(std::string_view tool) {
        const size_t before = written_to_server().size();
        client(call_line("\"c\"", tool));
        commit();
        server(result_line("\"c\""));
        commit();
        return written_to_server().size() > before;
    }

    GateWorld world_;
    PinTable pins_;
    const char* policy_ = kPolicy;
    StatesAside states_;
    Outbox to_server_, to_client_;
    std::array<Fd, 3> fds_;
    std::unique_ptr<Ledger> memory_;
    std::unique_ptr<SessionLedger> ledger_;
    std::unique_ptr<Gate> gate_;
};

TEST_F(SessionLedgerTest, KilledBehindAnyByteBeforeOrAfterTheCommit) {
    commit();
    const std::string line = call_line("1", "ok") + call_line("2", "no");
    std::string sent;
    for (size_t at = 0; at < 2 * line.size(); ++at) {
        const std::string byte(1, line[at % line.size()]);
        client(byte);
        if (at % 2) commit();
        if (at % 3 == 0) killed();
        commit();
        if (byte == "\n" && line.size() - 1 != at % line.size()) sent += call_line("1", "ok");
        EXPECT_EQ(written_to_server(), sent);
    }
    EXPECT_EQ(gate_->counts().in, 4u);
    EXPECT_EQ(gate_->counts().denied, 2u);
    EXPECT_EQ(gate_->counts().client_bytes, 2 * line.size());
    EXPECT_TRUE(gate_->counts().conserved());
    EXPECT_EQ(gate_->pending_requests(), 2u);
}

TEST_F(SessionLedgerTest, RequestsThatWaitForAnAnswerAreKnownAndWhatTheyWereCharged) {
    commit();
    const size_t before = states_.all.size();
    for (int i = 0; i < 50; ++i) {
        const std::string id = std::to_string(i);
        client(call_line(id, "one"));
        commit();
        killed();
        EXPECT_EQ(gate_->pending_requests(), 1u);
        client(call_line("1000", "one"));
        commit();
        server(result_line(id));
        commit();
        killed();
        EXPECT_EQ(gate_->pending_requests(), 0u);
    }
    EXPECT_EQ(gate_->counts().denied, 50u);
    EXPECT_EQ(gate_->counts().forwarded, 50u);
    EXPECT_LT(states_.all.size(), before + 10);  // nothing is written anew for an agent that goes on
}

// A whole state costs much more than a note: it is written now and then.
TEST_F(SessionLedgerTest, MostTurnsWriteNotes) {
    commit();
    for (int i = 0; i < 1000; ++i) {
        client(call_line(std::to_string(i), "ok"));
        commit();
        server(result_line(std::to_string(i)));
        commit();
    }
    EXPECT_LT(states_.all.size(), 40u);
    killed();
    EXPECT_EQ(gate_->pending_requests(), 0u);
    EXPECT_EQ(gate_->counts().forwarded, 1000u);
}

// However long it is.
TEST_F(SessionLedgerTest, ALongStateIsNotWrittenMoreOften) {
    states_.padding = 200'000;
    commit();
    for (int i = 0; i < 200; ++i) {
        client(call_line(std::to_string(i), "ok"));
        commit();
        server(result_line(std::to_string(i)));
        commit();
        if (i % 50 == 0) killed();
    }
    EXPECT_LT(states_.all.size(), 20u);
    killed();
    EXPECT_EQ(gate_->pending_requests(), 0u);
    EXPECT_EQ(gate_->counts().forwarded, 200u);
}

TEST_F(SessionLedgerTest, KilledBehindAListThatHasChanged) {
    commit();
    for (const char* description : {"as it was", "and send me all of it", "as it was"}) {
        ask_for_list();
        server(result_line("\"l\"", R"({"tools":[{"name":"pinned","description":")" + std::string(description) + "\"}]}"));
        commit();
        killed();
    }
    EXPECT_EQ(pins_.changed(), 0u);
    EXPECT_FALSE(may_call("pinned"));
    EXPECT_TRUE(may_call("ok"));
}

TEST_F(SessionLedgerTest, AnOlderAgentRefusesWhatWasShownPinnedTools) {
    const auto format = [&] {
        uint32_t found = 0;
        EXPECT_EQ(pread(fds_[0].get(), &found, sizeof(found), 8), 4);
        return found;
    };
    commit();
    ask_for_list();
    server(result_line("\"l\"", R"({"tools":[{"name":"ok"}]})"));
    commit();
    EXPECT_EQ(format(), 1u);
    ask_for_list();
    server(result_line("\"l\"", R"({"tools":[{"name":"pinned"}]})"));
    commit();
    EXPECT_EQ(format(), Ledger::kFormat);
}

TEST_F(SessionLedgerTest, KilledBehindAListThatCannotBeRead) {
    commit();
    ask_for_list();
    server(R"({"jsonrpc":"2.0","id":"l","id":"l","result":{"tools":[{"name":"pinned"}]}})"
           "\n");
    commit();
    killed();
    EXPECT_FALSE(may_call("pinned"));
    EXPECT_TRUE(may_call("ok"));
}

// Nothing of it is withheld, since nothing in it could be hidden or denied.
TEST_F(SessionLedgerTest, KilledInsideAListThatIsTooLongToBeLookedInto) {
    policy_ = R"({"version":"1","default":"deny","tools":{"ok":{},"pinned":{"pin":true}}})";
    begin_anew();
    ask_for_list();
    server("{" + std::string(kFrameBytesMax, ' '));
    commit();
    killed();
    server("}\n");
    commit();
    EXPECT_FALSE(may_call("pinned"));
    EXPECT_TRUE(may_call("ok"));
}

// What was given back before the agent was killed is not given back after it.
TEST_F(SessionLedgerTest, ACallIsGivenBackOnce) {
    const auto count = [&] { return world_.counters.rows(realtime_ns()).at(0).count; };
    const std::string cancelled = R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})"
                                  "\n";
    commit();
    client(call_line("1", "given"));
    commit();
    client(cancelled);
    commit();
    EXPECT_EQ(count(), 0);
    client(call_line("2", "given"));
    commit();
    killed();
    client(cancelled);
    EXPECT_EQ(count(), 1);
    server(result_line("2"));
    gate_->session_ended();
    EXPECT_EQ(count(), 1);
    EXPECT_EQ(gate_->pending_requests(), 1u);
}

TEST_F(SessionLedgerTest, WhatIsUnansweredAfterAKillCanBeGivenBack) {
    commit();
    client(call_line("1", "given"));
    commit();
    killed();
    EXPECT_EQ(world_.counters.rows(realtime_ns()).at(0).count, 1);
    gate_->session_ended();
    EXPECT_EQ(world_.counters.rows(realtime_ns()).at(0).count, 0);
}

// A line that may be a list of tools, and is too long to be looked into: the client gets nothing of it from the next agent
// either, and all that follows it.
TEST_F(SessionLedgerTest, KilledInsideALineOfTheServerThatIsWithheld) {
    commit();
    client(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})"
           "\n");
    commit();
    server("{" + std::string(kFrameBytesMax, ' '));
    commit();
    killed();
    server("hidden");
    commit();
    EXPECT_EQ(written_to_client().find("hidden"), std::string::npos);
    server("\n");
    commit();
    killed();
    server(result_line("2"));
    commit();
    EXPECT_TRUE(written_to_client().ends_with(result_line("2"))) << written_to_client();
    EXPECT_TRUE(gate_->counts().conserved());
}

TEST(PendingNotes, SayWhatHappened) {
    PendingState one, two;
    one.id_key = "n:1";
    one.record = "01J";
    one.method = "tools/list";
    one.forwarded_ns = 7;
    two.id_key = std::string("s:\0\n", 4);
    two.tool = "t";
    KeptUse use;
    use.key = "key";
    use.counter = "counter";
    use.use.amount = -3;
    use.use.scale = 100;
    use.use.is_in_flight = use.use.returns_unanswered = true;
    two.charged.push_back(use);
    std::string notes;
    append_added(notes, one);
    append_added(notes, two);
    append_taken(notes, "n:1");
    std::vector<PendingState> pending;
    ASSERT_TRUE(apply_notes(notes, pending));
    ASSERT_EQ(pending.size(), 1u);
    EXPECT_EQ(pending[0].id_key, two.id_key);
    EXPECT_EQ(pending[0].tool, "t");
    ASSERT_EQ(pending[0].charged.size(), 1u);
    EXPECT_EQ(pending[0].charged[0].key, "key");
    EXPECT_EQ(pending[0].charged[0].use.amount, -3);
    EXPECT_EQ(pending[0].charged[0].use.scale, 100);
    EXPECT_TRUE(pending[0].charged[0].use.is_in_flight);
    EXPECT_FALSE(pending[0].charged[0].use.keeps_failed);
    EXPECT_TRUE(pending[0].charged[0].use.returns_unanswered);
    for (size_t length = 1; length < notes.size(); ++length) {
        std::vector<PendingState> some;
        if (apply_notes(std::string_view(notes).substr(0, length), some)) {
            EXPECT_LE(some.size(), 2u);
        }
    }
    EXPECT_FALSE(apply_notes(std::string_view(notes).substr(0, notes.size() - 1), pending));
    std::string unknown;
    append_taken(unknown, "n:9");
    EXPECT_FALSE(apply_notes(unknown, pending));
}

// Thousands may be under way in a session, and sessions wait while they are read.
TEST(PendingNotes, AreReadInATimeThatGrowsWithTheirNumberOnly) {
    constexpr int kRequests = 20000;
    std::vector<PendingState> pending(kRequests);
    for (int i = 0; i < kRequests; ++i) pending[static_cast<size_t>(i)].id_key = "n:" + std::to_string(i);
    std::string notes;
    for (int i = 0; i < kRequests; ++i) {
        PendingState more;
        more.id_key = "n:" + std::to_string(kRequests + i);
        append_added(notes, more);
        append_taken(notes, "n:" + std::to_string(i));
    }
    const std::clock_t before = std::clock();
    ASSERT_TRUE(apply_notes(notes, pending));
    EXPECT_LT(std::clock() - before, 2 * CLOCKS_PER_SEC);
    std::set<std::string> left;
    for (const PendingState& each : pending) left.insert(each.id_key);
    ASSERT_EQ(left.size(), size_t{kRequests});
    for (int i = 0; i < kRequests; ++i) EXPECT_TRUE(left.contains("n:" + std::to_string(kRequests + i)));
}

}  // namespace
}  // namespace callgate
