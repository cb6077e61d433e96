// A whole session over real channels; the server is the test itself.
#include "enforce/relay_session.h"

#include <gmock/gmock.h>

#include "../io/ring_world.h"
#include "gate_fixture.h"
#include "states_aside.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

constexpr char kNoSampling[] = R"({"version":"1","default":"allow","methods":{"sampling/createMessage":{"action":"deny"}}})";
constexpr char kPolicy[] = R"({"version":"1","default":"deny","tools":{"ok":{}}})";
constexpr char kGiving[] = R"({"version":"1","default":"deny","tools":{
    "given":{"limits":[{"counter":"g","window":"day","max":1,"count_unanswered":false}]}}})";

class RelayTest : public ::testing::TestWithParam<ChannelAndRing> {
  protected:
    void SetUp() override {
        signal(SIGPIPE, SIG_IGN);
        make(world_.options(kPolicy));
    }
    void make(GateOptions options) {
        const Kind kind = std::get<Kind>(GetParam());
        ChannelEnds client_in = make_channel(kind), server_in = make_channel(kind);
        ChannelEnds server_out = make_channel(kind), client_out = make_channel(kind);
        TakenEnds ends;
        ends.input_kind = ends.output_kind = kind == Kind::pipe ? ChannelKind::pipe : ChannelKind::unix_socket;
        ends.from_client = std::move(client_in.read);
        ends.to_server = std::move(server_in.write);
        ends.from_server = std::move(server_out.read);
        ends.to_client = std::move(client_out.write);
        to_agent_ = std::move(client_in.write);
        from_agent_ = std::move(client_out.read);
        server_reads_ = std::move(server_in.read);
        server_writes_ = std::move(server_out.write);
        session_ = std::make_unique<RelaySession>(*ring_.ring, std::move(ends), std::move(options), world_.counters, *world_.log,
                                                  RelaySession::Events{[this](RelaySession&) {
                                                                           ++ended_;
                                                                           if (at_end_) at_end_();
                                                                       },
                                                                       [](RelaySession&) {},
                                                                       [this](RelaySession&) {
                                                                           if (at_change_) at_change_();
                                                                       }});
    }
    void TearDown() override { EXPECT_TRUE(session_->counts().conserved()); }
    // The steps, then everything closed and idle.
    void run(std::vector<std::function<bool()>> steps) {
        size_t reached = 0;
        for (auto& step : steps) step = [&reached, inner = std::move(step)] { return inner() && ++reached; };
        size_t count = steps.size();
        steps.insert(steps.begin(), [&] {
            session_->start();
            return true;
        });
        ring_.ring->after(std::chrono::milliseconds(1500 * kSlowness), [&] { session_->close(); });
        steps.push_back([&] {
            session_->close();
            return true;
        });
        steps.push_back([&] { return session_->idle(); });
        EXPECT_TRUE(ring_.run(std::move(steps))) << "after step " << reached;
        EXPECT_EQ(reached, count);
        EXPECT_EQ(ended_, 1);
    }
    bool put(const Fd& fd, const std::string& text) {
        return ::write(fd.get(), text.data(), text.size()) == ssize_t(text.size());
    }
    bool server_has(const std::string& text) { return (server_got_ += drain(server_reads_)) == text; }
    bool client_has(const std::string& text) { return (client_got_ += drain(from_agent_)) == text; }
    static bool at_end(const Fd& fd) {
        char byte;
        set_nonblocking(fd);
        return ::read(fd.get(), &byte, 1) == 0;
    }

    GateWorld world_;
    RingWorld ring_{std::get<Ring::Kind>(GetParam())};
    Fd to_agent_, from_agent_, server_reads_, server_writes_;
    std::unique_ptr<RelaySession> session_;
    std::string server_got_, client_got_;
    int ended_ = 0;
    std::function<void()> at_end_, at_change_;  // of the session, of its open ends
};
INSTANTIATE_TEST_SUITE_P(Channels, RelayTest, kChannelsAndRings, [](const auto& each) { return name_of(each.param); });

TEST_P(RelayTest, BytesBothWays) {
    run({[&] { return put(to_agent_, call_line("1", "ok")); }, [&] { return server_has(call_line("1", "ok")); },
         [&] { return put(server_writes_, result_line("1")); }, [&] { return client_has(result_line("1")); }});
}

// By then it is known what is in flight in other sessions, too.
TEST_P(RelayTest, WhatAKilledAgentHadReadIsJudgedAtTheStart) {
    StatesAside states;
    RelayState state;
    state.ledger = states.ledger();
    Outbox to_server, to_client;
    Gate before(world_.options(kPolicy), world_.counters, *world_.log, to_server, to_client);
    before.note_changes();
    ASSERT_TRUE(state.ledger->commit(before, to_server, to_client, {}));
    ASSERT_TRUE(state.ledger->bytes().add(Ledger::kToServer, call_line("1", "ok")));
    state.gate = state.ledger->gate_state().value();
    ASSERT_TRUE(session_->restore(std::move(state)));
    EXPECT_EQ(session_->counts().in, 0u);
    run({[&] { return server_has(call_line("1", "ok")); }, [&] { return put(to_agent_, call_line("2", "ok")); },
         [&] { return server_has(call_line("1", "ok") + call_line("2", "ok")); }});
    EXPECT_EQ(session_->counts().in, 2u);
}

// Of what an agent before has read of a line nothing is in the channels any more.
TEST_P(RelayTest, ALedgerMayBeginInTheMiddleOfALine) {
    const std::string call = call_line("1", "ok"), result = result_line("1");
    StatesAside states;
    RelayState state;
    Outbox to_server, to_client;
    Gate before(world_.options(kPolicy), world_.counters, *world_.log, to_server, to_client);
    before.client_bytes(call.substr(0, 20));
    before.server_bytes(result.substr(0, 10));
    state.gate = before.save();
    ASSERT_TRUE(session_->restore(std::move(state)));
    session_->begin_ledger(states.ledger());
    ASSERT_TRUE(session_->has_ledger());
    Ledger& ledger = session_->ledger().bytes();
    EXPECT_EQ(ledger.line_begun(Ledger::kToServer), call.substr(0, 20));
    EXPECT_EQ(ledger.line_begun(Ledger::kToClient), result.substr(0, 10));
    EXPECT_EQ(ledger.unseen(Ledger::kToServer).size() + ledger.unseen(Ledger::kToClient).size(), 0u);
    run({[&] { return put(to_agent_, call.substr(20, 10)) && put(server_writes_, result.substr(10, 10)); },
         [&] { return ledger.line_begun(Ledger::kToServer) == call.substr(0, 30); },
         [&] { return ledger.line_begun(Ledger::kToClient) == result.substr(0, 20); },
         [&] { return put(to_agent_, call.substr(30)) && put(server_writes_, result.substr(20)); },
         [&] { return server_has(call); }, [&] { return client_has(result); }});
}

// Who takes it over when this process is killed at that instant would give it back again.
TEST_P(RelayTest, WhatAnUnansweredCallGivesBackIsInTheLedgerBeforeTheSessionIsGone) {
    StatesAside states;
    make(world_.options(kGiving));
    session_->begin_ledger(states.ledger());
    const auto count = [&] { return world_.counters.rows(realtime_ns()).at(0).count; };
    run({[&] { return put(to_agent_, call_line("1", "given")); }, [&] { return server_has(call_line("1", "given")); },
         [&] {
             EXPECT_EQ(count(), 1);
             EXPECT_EQ(session_->ledger().gate_state()->pending.at(0).charged.size(), 1u);
             at_change_ = at_end_ = [&] { EXPECT_EQ(session_->ledger().gate_state()->pending.at(0).charged.size(), 0u); };
             session_->close();
             return true;
         },
         [&] { return ended_ == 1; }});
    EXPECT_EQ(count(), 0);
    EXPECT_EQ(session_->gate().pending_requests(), 1u);
}

TEST_P(RelayTest, DeniedCallIsAnswered) {
    run({[&] { return put(to_agent_, call_line("1", "rm") + call_line("2", "ok")); },
         [&] { return server_has(call_line("2", "ok")); },
         [&] { return (client_got_ += drain(from_agent_)).find("POLICY DENIED") != std::string::npos; }});
    EXPECT_EQ(session_->counts().denied, 1u);
}

TEST_P(RelayTest, EndOfFileComesAfterEverythingBeforeIt) {
    std::string last = call_line("2", "ok");
    last.pop_back();
    run({[&] { return put(to_agent_, call_line("1", "ok") + last); },
         [&] {
             to_agent_.reset();
             return true;
         },
         [&] { return server_has(call_line("1", "ok") + last); }, [&] { return at_end(server_reads_); },
         // the other direction lives on
         [&] { return put(server_writes_, result_line("1")); }, [&] { return client_has(result_line("1")); },
         [&] {
             server_writes_.reset();
             server_reads_.reset();
             return true;
         },
         [&] { return at_end(from_agent_); }, [&] { return ended_ == 1; }});
}

TEST_P(RelayTest, ClientThatIsGoneBreaksTheServersPipe) {
    run({[&] {
             from_agent_.reset();
             return true;
         },
         [&] {
             set_nonblocking(server_writes_);
             return ::write(server_writes_.get(), "x", 1) < 0 && errno == EPIPE;
         }});
}

TEST_P(RelayTest, ServerThatIsGoneBreaksTheClientsPipe) {
    run({[&] {
             server_reads_.reset();
             return true;
         },
         [&] {
             set_nonblocking(to_agent_);
             return ::write(to_agent_.get(), "\n", 1) < 0 && errno == EPIPE;
         }});
}

// Writes `line` again and again until there has been no room for a while; the bytes that went in, at most 16 MiB.
class Flood {
  public:
    Flood(const Fd& fd, std::string line) : fd_(fd), line_(std::move(line)) {}
    bool is_held_back() {
        set_nonblocking(fd_);
        ssize_t put;
        while (accepted < kAll && (put = ::write(fd_.get(), line_.data() + at_, line_.size() - at_)) > 0) {
            accepted += put;
            at_ = (at_ + put) % line_.size();
            quiet_since_ns_ = monotonic_ns();
        }
        return accepted >= kAll || monotonic_ns() - quiet_since_ns_ > 50'000'000;
    }
    size_t accepted = 0;

  private:
    static constexpr size_t kAll = size_t{16} << 20;
    const Fd& fd_;
    std::string line_;
    size_t at_ = 0;
    int64_t quiet_since_ns_ = monotonic_ns();
};

TEST_P(RelayTest, SlowServerHoldsTheClientBack) {
    Flood flood(to_agent_, call_line("1", "ok\",\"_\":\"" + std::string(4000, 'x')));
    run({[&] { return flood.is_held_back(); }});
    EXPECT_LT(flood.accepted, size_t{4} << 20);
    EXPECT_GT(flood.accepted, kOutputBytesHigh);
}

// What is answered waits for the end of the server's line, and who asks waits with it.
TEST_P(RelayTest, AServersLineWithoutEndHoldsTheClientBack) {
    Flood flood(to_agent_, call_line("1", "rm"));
    std::string got;
    run({[&] { return put(server_writes_, "Ready. "); }, [&] { return (got += drain(from_agent_)) == "Ready. "; },
         [&] { return flood.is_held_back(); }, [&] { return put(server_writes_, "\n"); },
         [&] {
             got += drain(from_agent_);
             return static_cast<size_t>(std::count(got.begin(), got.end(), '\n')) ==
                    1 + flood.accepted / call_line("1", "rm").size();
         }});
    EXPECT_LT(flood.accepted, size_t{1} << 20);
    EXPECT_EQ(got.substr(0, 9), "Ready. \n{");
}

// What a server may not ask is answered to it, and it waits until it has read some of that.
TEST_P(RelayTest, AServerThatAsksWithoutReadingIsHeldBack) {
    session_->gate().use_policy(world_.options(kNoSampling).policy, {});
    const std::string question = R"({"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}})"
                                 "\n";
    Flood flood(server_writes_, question);
    size_t answers = 0;
    run({[&] { return flood.is_held_back(); },
         [&] {
             const std::string read = drain(server_reads_);
             answers += std::count(read.begin(), read.end(), '\n');
             return answers == flood.accepted / question.size();
         }});
    EXPECT_LT(flood.accepted, size_t{2} << 20);
}

TEST_P(RelayTest, QuiesceLeavesNothingOnTheWay) {
    bool ready = false, drained = false;
    run({[&] { return put(to_agent_, call_line("1", "ok")) && put(server_writes_, "half"); },
         [&] { return session_->unread_by_server() > 0; },
         [&] {
             session_->quiesce(std::chrono::milliseconds(1000 * kSlowness), [&](bool all) {
                 ready = true;
                 drained = all;
             });
             return !ready;
         },
         [&] { return server_has(call_line("1", "ok")); }, [&] { return ready; }, [&] { return client_has("half"); }});
    EXPECT_TRUE(drained);
}

// Given back without what comes then, the server would be asked by nobody's leave.
TEST_P(RelayTest, AReleaseWaitsForTheEndOfTheClientsLine) {
    const std::string claim = R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":1}})"
                              "\n";
    const std::string confirmed = R"({"jsonrpc":"2.0","id":0,"result":{"protocolVersion":1}})"
                                  "\n";
    const std::string call = call_line("1", "rm");
    GateOptions options = world_.options(kPolicy);
    options.start = Opening::Start::fresh;
    make(std::move(options));
    bool ready = false;
    auto release = [&] {
        session_->quiesce(std::chrono::milliseconds(1000 * kSlowness), [&](bool) { ready = true; });
        return true;
    };
    const auto begun = std::chrono::steady_clock::now();
    run({[&] { return put(to_agent_, claim); }, [&] { return server_has(claim); },
         [&] { return put(to_agent_, call.substr(0, call.size() - 1)); }, [&] { return put(server_writes_, confirmed); },
         [&] { return client_has(confirmed); }, [&] { return session_->gate().wants_release(); }, release,
         [&] { return std::chrono::steady_clock::now() - begun > std::chrono::milliseconds(500); },
         [&] {
             EXPECT_FALSE(ready);
             return put(to_agent_, "\n");
         },
         [&] { return ready; }, [&] { return (client_got_ += drain(from_agent_)).find("POLICY DENIED") != std::string::npos; }});
    EXPECT_EQ(drain(server_reads_), "");
}

TEST_P(RelayTest, QuiesceGivesUpOnAServerThatDoesNotRead) {
    bool ready = false, drained = true;
    run({[&] { return put(to_agent_, call_line("1", "ok")); }, [&] { return session_->unread_by_server() > 0; },
         [&] {
             session_->quiesce(std::chrono::milliseconds(30), [&](bool all) {
                 ready = true;
                 drained = all;
             });
             return true;
         },
         [&] { return ready; }});
    EXPECT_FALSE(drained);
}

}  // namespace
}  // namespace callgate
