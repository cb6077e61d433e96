// One session from its beginning to its end, again and again: each time another allocation, another operation of the ring or
// another system call fails, until none is left to fail. Whatever it was: everything was delivered, once, or the session ended
// and says why; the books balance, no place in a limit stays taken, and no descriptor and no operation stays behind.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <thread>

#include "../slowness.h"
#include "../unit/enforce/gate_fixture.h"
#include "../unit/io/ring_world.h"
#include "enforce/relay_session.h"
#include "failing_calls.h"
#include "failing_memory.h"
#include "failing_ring.h"

namespace callgate {
namespace {

constexpr char kPolicy[] = R"({"version":"1","default":"deny","hide":["secret"],"tools":{"ok":{"limits":[
    {"counter":"all","window":"hour","max":1000000000,"scope":"host"},{"counter":"now","max_in_flight":100,"scope":"host"}]}}})";
constexpr char kList[] = R"({"jsonrpc":"2.0","id":9,"method":"tools/list"})"
                         "\n";
constexpr char kTwice[] = R"({"jsonrpc":"2.0","id":5,"method":"ping","method":"ping"})"
                          "\n";
constexpr char kTools[] =
    R"({"tools":[{"name":"ok","inputSchema":{}},{"name":"secret","inputSchema":{"type":"object","title":"hidden"}}]})";

enum class Bytes { in_memory, in_ledger };
using Setting = std::tuple<Kind, Ring::Kind, Bytes>;

std::string name_of(const Setting& setting) {
    const auto& [kind, ring, bytes] = setting;
    return name_of(ChannelAndRing(kind, ring)) + (bytes == Bytes::in_ledger ? "Ledger" : "");
}

// Not the agent's own, which is made by nlohmann::json: that takes memory in its destructor, and where there is none the program
// ends, and another one goes on with what is in the ledgers.
SessionLedger::Form plain_form() {
    return {[](const GateState& gate) { return gate.client_rest + gate.answers_waiting + std::string(100, ' '); },
            [](std::string_view) -> Result<GateState> { return GateState(); }};
}

// After these the same is tried again, and nothing has happened.
bool is_passing(int error) { return error == EINTR || error == EAGAIN || error == ECANCELED || error == kShort; }

// What each leads to, but for the one that lists them.
std::vector<std::string> open_descriptors() {
    std::vector<std::string> found;
    for (const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        const std::string target = std::filesystem::read_symlink(each, gone);
        if (!gone && !target.ends_with("/fd")) found.push_back(each.path().filename().string() + " " + target);
    }
    return found;
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    for (size_t end; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1))
        lines.emplace_back(text.substr(0, end + 1));
    return lines;
}

// Longer than a read, so that it is read and written in parts.
std::string long_call() { return call_line("4", "ok\",\"_\":\"" + std::string(150'000, 'x')); }

// All of it, however slowly it is taken.
void put(const Fd& fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t put = ::write(fd.get(), bytes.data(), bytes.size());
        if (put <= 0) return;
        bytes.remove_prefix(static_cast<size_t>(put));
    }
}

std::string get_all(const Fd& fd) {
    std::string all;
    char buffer[65536];
    for (ssize_t got; (got = ::read(fd.get(), buffer, sizeof(buffer))) > 0;) all.append(buffer, static_cast<size_t>(got));
    return all;
}

class RelayFailures : public ::testing::TestWithParam<Setting> {
  protected:
    struct Outcome {
        std::string server_got, client_got, failure;
        FrameCounts counts;
        bool ended = false, idle = false;
    };

    // What fails is chosen by `arm`, in the loop's thread before the session starts; nothing fails any more after `disarm`.
    Outcome run(const std::function<void(FailingRing&)>& arm, const std::function<void()>& disarm) {
        const auto [kind, ring_kind, bytes] = GetParam();
        FailingRing ring(std::move(Ring::create(ring_kind)).value());
        ChannelEnds client_in = make_channel(kind), server_in = make_channel(kind);
        ChannelEnds server_out = make_channel(kind), client_out = make_channel(kind);
        TakenEnds ends;
        ends.input_kind = ends.output_kind = kind == Kind::pipe ? ChannelKind::pipe : ChannelKind::unix_socket;
        ends.from_client = std::move(client_in.read);
        ends.to_server = std::move(server_in.write);
        ends.from_server = std::move(server_out.read);
        ends.to_client = std::move(client_out.write);

        Outcome outcome;
        std::function<void()> stop_when_idle;
        RelaySession session(ring, std::move(ends), options_, world_.counters, *world_.log,
                             {[&](RelaySession& ended) {
                                  disarm();
                                  outcome.ended = true;
                                  outcome.failure = ended.failure();
                                  ring.post(stop_when_idle);
                              },
                              [](RelaySession&) {}});
        stop_when_idle = [&] {
            if (session.idle()) return ring.stop();
            ring.after(std::chrono::microseconds(100), stop_when_idle);
        };
        if (bytes == Bytes::in_ledger)
            session.begin_ledger(std::make_unique<SessionLedger>(std::move(Ledger::create()).value(), plain_form()));

        std::thread client([&outcome, to = std::move(client_in.write), from = std::move(client_out.read)]() mutable {
            std::thread reader([&] { outcome.client_got = get_all(from); });
            put(to, call_line("1", "ok") + call_line("2", "rm") + kTwice + kList + call_line("3", "ok") + long_call());
            to.reset();
            reader.join();
        });
        std::thread server([&outcome, from = std::move(server_in.read), to = std::move(server_out.write)]() mutable {
            outcome.server_got = serve(from, to);
        });
        ring.after(std::chrono::seconds(5 * kSlowness), [&] { session.close(); });
        ring.post([&] {
            arm(ring);
            session.start();
        });
        ring.run();
        disarm();
        client.join();
        server.join();
        outcome.idle = session.idle();
        outcome.counts = session.counts();
        return outcome;
    }

    // Answers what it is called for, line by line, until its client is gone.
    static std::string serve(const Fd& from, const Fd& to) {
        std::string all;
        size_t answered = 0;
        char buffer[65536];
        for (ssize_t got; (got = ::read(from.get(), buffer, sizeof(buffer))) > 0;) {
            all.append(buffer, static_cast<size_t>(got));
            for (size_t end; (end = all.find('\n', answered)) != std::string::npos; answered = end + 1) {
                const std::string id = all.substr(all.find("\"id\":", answered) + 5, 1);
                put(to, result_line(id, id == "9" ? kTools : "{}"));
            }
        }
        return all;
    }

    void check(const Outcome& outcome, bool has_failed) {
        static const std::string to_server = call_line("1", "ok") + kList + call_line("3", "ok") + long_call();
        ASSERT_TRUE(outcome.ended);
        ASSERT_TRUE(outcome.idle);
        EXPECT_TRUE(outcome.counts.conserved());
        EXPECT_EQ(outcome.counts.held, 0u);
        EXPECT_TRUE(to_server.starts_with(outcome.server_got)) << outcome.server_got.substr(0, 1000);
        // Whole lines, each once; the last one may have been cut off.
        const std::vector<std::string> lines = lines_of(outcome.client_got);
        std::multiset<std::string> got(lines.begin(), lines.end());
        for (const std::string& line : expected_) {
            if (const auto found = got.find(line); found != got.end()) got.erase(found);
        }
        EXPECT_TRUE(got.empty()) << *got.begin();
        for (const CounterTable::Row& row : world_.counters.rows(0))
            EXPECT_TRUE(row.kind != CounterKind::in_flight || row.count == 0) << row.key;
        EXPECT_TRUE(has_failed || outcome.failure.empty()) << outcome.failure;
        if (!outcome.failure.empty()) return;
        EXPECT_EQ(outcome.server_got, to_server);
        EXPECT_EQ(lines.size(), expected_.size());
        EXPECT_EQ(outcome.counts.forwarded, 4u);
        EXPECT_EQ(outcome.counts.denied, 1u);
        EXPECT_EQ(outcome.counts.refused, 1u);
    }

    // Fails the first, the second … by `fail`, until there is none left; `stop` says whether one has failed, and ends it. How
    // many have failed, and how many of them ended the session.
    struct Tried {
        uint64_t failed = 0;
        std::set<std::string> said;
    };
    Tried fail_each(const std::function<void(FailingRing&, uint64_t)>& fail, const std::function<bool(FailingRing&)>& stop) {
        constexpr uint64_t kMost = 5000;
        Tried tried;
        for (bool has_failed = true; has_failed && !HasFatalFailure() && tried.failed < kMost; tried.failed += has_failed) {
            SCOPED_TRACE("number " + std::to_string(tried.failed + 1));
            has_failed = false;
            FailingRing* armed = nullptr;
            const std::vector<std::string> descriptors = open_descriptors();
            const Outcome outcome = run(
                [&](FailingRing& ring) {
                    armed = &ring;
                    fail(ring, tried.failed + 1);
                },
                [&] {
                    if (armed && stop(*armed)) has_failed = true;
                });
            check(outcome, has_failed);
            EXPECT_EQ(open_descriptors(), descriptors);
            if (!outcome.failure.empty()) tried.said.insert(outcome.failure);
        }
        EXPECT_LT(tried.failed, kMost);
        return tried;
    }
    void SetUp() override {
        signal(SIGPIPE, SIG_IGN);
        const Outcome whole = run([](FailingRing&) {}, [] {});
        for (const std::string& line : lines_of(whole.client_got)) expected_.insert(line);
        ASSERT_EQ(expected_.size(), 6u) << whole.client_got.substr(0, 2000);
        check(whole, false);
    }

    GateWorld world_;
    GateOptions options_ = world_.options(kPolicy);
    std::multiset<std::string> expected_;
};
INSTANTIATE_TEST_SUITE_P(Settings, RelayFailures,
                         ::testing::Combine(::testing::Values(Kind::pipe, Kind::socket),
                                            ::testing::Values(Ring::Kind::io_uring, Ring::Kind::epoll),
                                            ::testing::Values(Bytes::in_memory, Bytes::in_ledger)),
                         [](const auto& each) { return name_of(each.param); });

TEST_P(RelayFailures, OfMemory) {
    const Tried tried = fail_each([](FailingRing&, uint64_t number) { FailingMemory::fail_at(number); },
                                  [](FailingRing&) { return FailingMemory::stop(); });
    EXPECT_GT(tried.failed, 10u);
    EXPECT_EQ(tried.said.count("the agent's memory ran out"), 1u);
}

TEST_P(RelayFailures, OfTheRing) {
    for (const int error : {EINTR, EAGAIN, ENOBUFS, ECANCELED, ENOMEM, EMFILE, kShort}) {
        SCOPED_TRACE(error == kShort ? "short" : strerror(error));
        const Tried tried = fail_each([error](FailingRing& ring, uint64_t number) { ring.fail_at(number, error); },
                                      [](FailingRing& ring) { return ring.has_failed(); });
        EXPECT_GT(tried.failed, 5u);
        EXPECT_TRUE(!is_passing(error) || tried.said.empty()) << ::testing::PrintToString(tried.said);
    }
}

TEST_P(RelayFailures, OfCalls) {
    if (GetParam() == Setting(Kind::pipe, Ring::Kind::io_uring, Bytes::in_memory)) return;  // it makes none: all is the ring's
    for (const int error : {EINTR, EAGAIN, ENOBUFS, ENOMEM, kShort}) {
        SCOPED_TRACE(error == kShort ? "short" : strerror(error));
        const Tried tried = fail_each([error](FailingRing&, uint64_t number) { FailingCalls::fail_at(number, error); },
                                      [](FailingRing&) { return FailingCalls::stop(); });
        EXPECT_GT(tried.failed, 2u);
        EXPECT_TRUE(!is_passing(error) || tried.said.empty()) << ::testing::PrintToString(tried.said);
    }
}

}  // namespace
}  // namespace callgate
