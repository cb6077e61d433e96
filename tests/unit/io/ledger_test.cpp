// The ledger, and a relay that is killed at random: nothing is lost, doubled or reordered.
#include "io/ledger.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <random>
#include <vector>

#include "../../slowness.h"

namespace callgate {
namespace {

struct Ends {
    Fd reads, writes;
};

Ends make_channel(bool is_socket) {
    int ends[2];
    if (is_socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe2(ends, 0)) abort();
    return {Fd::adopt(ends[0]), Fd::adopt(ends[1])};
}

Fd copy_of(const Fd& fd) { return Fd::adopt(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)); }

std::unique_ptr<Ledger> opened_again(std::unique_ptr<Ledger> ledger) {
    Fd memory = copy_of(ledger->memory());
    std::array<Fd, 2> pipes = {copy_of(ledger->pipe(Ledger::kToServer)), copy_of(ledger->pipe(Ledger::kToClient))};
    ledger.reset();
    auto again = Ledger::open(std::move(memory), std::move(pipes));
    EXPECT_TRUE(again) << again.error().text();
    return again ? std::move(*again) : nullptr;
}

// Every fourth line is denied, the others go on; the state counts them, the notes have the numbers of the
// last ones.
struct Counts {
    uint64_t in = 0, forwarded = 0, denied = 0;
};

class LineGate {
  public:
    explicit LineGate(Ledger& ledger) : ledger_(ledger) {
        if (!ledger.state().empty()) memcpy(&counts, ledger.state().data(), sizeof(counts));
        rest_[0] = ledger.line_begun(Ledger::kToServer);
        rest_[1] = ledger.line_begun(Ledger::kToClient);
    }
    bool turn() {
        Outbox out[2];
        std::string notes;
        for (unsigned flow = 0; flow < 2; ++flow) {
            rest_[flow] += ledger_.unseen(static_cast<Ledger::Flow>(flow));
            size_t begin = 0;
            for (size_t end; (end = rest_[flow].find('\n', begin)) != std::string::npos; begin = end + 1)
                line(flow, std::string_view(rest_[flow]).substr(begin, end + 1 - begin), out, notes);
            rest_[flow].erase(0, begin);
        }
        Ledger::Turn made;
        made.line_begun = {rest_[0].size(), rest_[1].size()};
        made.output = {&out[0], &out[1]};
        made.state = {reinterpret_cast<const char*>(&counts), sizeof(counts)};
        made.notes_replace = ledger_.notes_are_long(notes.size());
        made.notes = notes;
        return ledger_.commit(made);
    }
    Counts counts;

  private:
    void line(unsigned flow, std::string_view line, Outbox (&out)[2], std::string& notes) {
        if (flow == 1) return out[1].append(line);
        uint64_t number = 0;
        std::from_chars(line.data(), line.data() + line.size(), number);
        ++counts.in;
        ++(number % 4 == 0 ? counts.denied : counts.forwarded);
        notes.assign(std::to_string(number) + ";");
        if (number % 4 != 0) return out[0].append(line);
        out[1].append("denied " + std::to_string(number) + "\n");
    }
    Ledger& ledger_;
    std::string rest_[2];
};

struct Channels {
    Ends client_in, server_in, server_out, client_out;
};

[[noreturn]] void relay(Ledger& ledger, const Channels& all, bool is_socket) {
    LineGate gate(ledger);
    const int sources[2] = {all.client_in.reads.get(), all.server_out.reads.get()};
    const int sinks[2] = {all.server_in.writes.get(), all.client_out.writes.get()};
    if (!gate.turn()) _exit(2);
    for (;;) {
        pollfd waiting[4];
        for (unsigned flow = 0; flow < 2; ++flow) {
            const size_t unwritten = ledger.unwritten_bytes(static_cast<Ledger::Flow>(flow));
            waiting[flow] = {unwritten > 300000 ? -1 : sources[flow], POLLIN, 0};
            waiting[2 + flow] = {unwritten > 0 ? sinks[flow] : -1, POLLOUT, 0};
        }
        poll(waiting, 4, -1);
        for (unsigned each = 0; each < 2; ++each) {
            const auto flow = static_cast<Ledger::Flow>(each);
            if (waiting[2 + each].revents && ledger.write(flow, sinks[each], is_socket) < 0) _exit(3);
            if (!waiting[each].revents) continue;
            const ssize_t got = ledger.read(flow, sources[each], is_socket);
            if (got < 0 && got != -EAGAIN) _exit(4);
            if (got > 0 && !gate.turn()) _exit(5);
            if (got > 0 && ledger.write(flow, sinks[each], is_socket) < 0) _exit(6);
        }
    }
}

std::string line_of(uint64_t number) {
    std::mt19937_64 random(number);
    const size_t length = number % 97 == 5 ? random() % (1 << 20) : random() % 2000;
    std::string line = std::to_string(number) + " ";
    while (line.size() < length) line += static_cast<char>('a' + random() % 26);
    return line + "\n";
}

// The world around the relay: a client that numbers its lines, and a server that says each again.
class World {
  public:
    explicit World(Channels& all) : all_(all) {
        for (const Fd* fd : {&all.client_in.writes, &all.server_in.reads, &all.server_out.writes, &all.client_out.reads})
            fcntl(fd->get(), F_SETFL, O_NONBLOCK | fcntl(fd->get(), F_GETFL));
    }
    // Until `until`, or with no new lines until everything has come back.
    void run(std::chrono::steady_clock::time_point until, bool finish) {
        while (finish ? answered_ + 1 < next_ || !to_send_.empty() : std::chrono::steady_clock::now() < until) {
            if (finish && std::chrono::steady_clock::now() > until) return;
            if (!finish && to_send_.empty() && next_ - answered_ < 200) to_send_ = line_of(next_++);
            pollfd waiting[] = {{all_.client_out.reads.get(), POLLIN, 0},
                                {all_.server_in.reads.get(), POLLIN, 0},
                                {to_send_.empty() ? -1 : all_.client_in.writes.get(), POLLOUT, 0},
                                {echo_.empty() ? -1 : all_.server_out.writes.get(), POLLOUT, 0}};
            poll(waiting, 4, 1);
            put(all_.client_in.writes, to_send_);
            get(all_.server_in.reads, echo_);
            put(all_.server_out.writes, echo_);
            get(all_.client_out.reads, received_);
            check();
        }
    }
    uint64_t made() const { return next_ - 1; }
    uint64_t answered() const { return answered_; }
    std::string wrong;

  private:
    static void put(const Fd& fd, std::string& bytes) {
        if (bytes.empty()) return;
        const ssize_t n = ::write(fd.get(), bytes.data(), bytes.size());
        if (n > 0) bytes.erase(0, static_cast<size_t>(n));
    }
    static void get(const Fd& fd, std::string& bytes) {
        static char buffer[1 << 18];
        const ssize_t n = ::read(fd.get(), buffer, sizeof(buffer));
        if (n > 0) bytes.append(buffer, static_cast<size_t>(n));
    }
    // Denials and echoes each come in the order of the lines.
    void check() {
        size_t begin = 0;
        for (size_t end; (end = received_.find('\n', begin)) != std::string::npos; begin = end + 1) {
            const std::string line = received_.substr(begin, end + 1 - begin);
            const bool is_denial = line.starts_with("denied ");
            uint64_t& expected = is_denial ? next_denial_ : next_echo_;
            const std::string wanted = is_denial ? "denied " + std::to_string(expected) + "\n" : line_of(expected);
            if (line != wanted && wrong.empty()) wrong = line.substr(0, 60) + " instead of " + wanted.substr(0, 60);
            ++answered_;
            expected += is_denial ? 4 : expected % 4 == 3 ? 2 : 1;
        }
        received_.erase(0, begin);
    }
    Channels& all_;
    uint64_t next_ = 1, answered_ = 0, next_denial_ = 4, next_echo_ = 1;
    std::string to_send_, echo_, received_;
};

class LedgerTest : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Channels, LedgerTest, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "Socket" : "Pipe"; });

TEST_P(LedgerTest, KilledAtAnyInstantNothingIsLost) {
    signal(SIGPIPE, SIG_IGN);
    const int kills = getenv("CALLGATE_LONG") ? 10000 : 400;
    Channels all{make_channel(GetParam()), make_channel(GetParam()), make_channel(GetParam()), make_channel(GetParam())};
    auto created = Ledger::create();
    ASSERT_TRUE(created) << created.error().text();
    std::unique_ptr<Ledger> ledger = std::move(*created);
    World world(all);
    std::mt19937 random(GetParam() ? 1 : 2);
    // Each relay begins with what the last one has left of a line: on a slow host that alone may take longer than it lives.
    unsigned longest_us = 4000 * kSlowness;
    uint64_t made = 0;
    const auto is_last = [&](int turn) {
        return turn >= kills && (world.made() > static_cast<uint64_t>(kills) || turn >= 5 * kills);
    };
    for (int turn = 0;; ++turn) {
        if (turn % 20 == 19 && std::exchange(made, world.made()) == world.made()) longest_us *= 2;
        const pid_t child = fork();
        if (child == 0) {
            auto mine = Ledger::open(copy_of(ledger->memory()),
                                     {copy_of(ledger->pipe(Ledger::kToServer)), copy_of(ledger->pipe(Ledger::kToClient))});
            if (!mine) _exit(7);
            relay(**mine, all, GetParam());
        }
        const bool last = is_last(turn);
        const auto now = std::chrono::steady_clock::now();
        world.run(last ? now + std::chrono::seconds(20) : now + std::chrono::microseconds(random() % longest_us), last);
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, WNOHANG), 0) << "the relay ended with " << WEXITSTATUS(status);
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
        ASSERT_EQ(world.wrong, "");
        if (last) break;
    }
    EXPECT_EQ(world.answered(), world.made());
    EXPECT_GT(world.made(), static_cast<uint64_t>(kills));
    ledger = opened_again(std::move(ledger));
    ASSERT_TRUE(ledger);
    const LineGate gate(*ledger);
    EXPECT_EQ(gate.counts.in, world.made());
    EXPECT_EQ(gate.counts.denied, world.made() / 4);
    EXPECT_EQ(gate.counts.forwarded + gate.counts.denied, gate.counts.in);
    RecordProperty("lines", static_cast<int>(world.made()));
}

TEST_P(LedgerTest, WhatWasNotCommittedIsSeenAgain) {
    Ends in = make_channel(GetParam());
    auto ledger = std::move(Ledger::create().value());
    ASSERT_EQ(::write(in.writes.get(), "one\ntwo", 7), 7);
    EXPECT_EQ(ledger->read(Ledger::kToServer, in.reads.get(), GetParam()), 7);
    EXPECT_EQ(ledger->read(Ledger::kToServer, in.reads.get(), GetParam()), -EAGAIN);
    ledger = opened_again(std::move(ledger));
    EXPECT_EQ(ledger->unseen(Ledger::kToServer), "one\ntwo");
    Outbox out;
    out.append("one\n");
    Ledger::Turn turn;
    turn.line_begun[0] = 3;
    turn.output[0] = &out;
    turn.state = "state";
    turn.notes = "first";
    ASSERT_TRUE(ledger->commit(turn));
    ledger = opened_again(std::move(ledger));
    EXPECT_EQ(ledger->unseen(Ledger::kToServer), "");
    EXPECT_EQ(ledger->line_begun(Ledger::kToServer), "two");
    EXPECT_EQ(ledger->unwritten(Ledger::kToServer), "one\n");
    EXPECT_EQ(ledger->state(), "state");
    EXPECT_EQ(ledger->notes(), "first");
    turn.output[0] = nullptr;
    turn.notes = ", second";
    ASSERT_TRUE(ledger->commit(turn));
    EXPECT_EQ(ledger->notes(), "first, second");
    turn.notes = "third";
    turn.notes_replace = true;
    ASSERT_TRUE(ledger->commit(turn));
    EXPECT_EQ(opened_again(std::move(ledger))->notes(), "third");
}

TEST_P(LedgerTest, EffectsAreThoseOfTheLastTurn) {
    auto ledger = std::move(Ledger::create().value());
    EXPECT_EQ(ledger->effects(), "");
    const auto commit = [&](std::string_view effects) {
        Ledger::Turn turn;
        turn.effects = effects;
        return ledger->commit(turn);
    };
    const std::string most(Ledger::kEffectsBytesMax, 'x');
    for (const std::string_view effects : {"", "one", "", "two", "three", most.c_str(), ""}) {
        ASSERT_TRUE(commit(effects));
        EXPECT_EQ(ledger->effects(), effects);
        ledger = opened_again(std::move(ledger));
        EXPECT_EQ(ledger->effects(), effects);
    }
    ASSERT_TRUE(commit("last"));
    EXPECT_FALSE(commit(most + "x"));
    EXPECT_EQ(ledger->effects(), "last");
}

TEST_P(LedgerTest, AnEndIsNoByte) {
    Ends in = make_channel(GetParam());
    auto ledger = std::move(Ledger::create().value());
    in.writes.reset();
    EXPECT_EQ(ledger->read(Ledger::kToServer, in.reads.get(), GetParam()), 0);
}

TEST_P(LedgerTest, AReaderThatIsGoneIsAnError) {
    signal(SIGPIPE, SIG_IGN);
    Ends out = make_channel(GetParam());
    auto ledger = std::move(Ledger::create().value());
    Outbox bytes;
    bytes.append("x");
    Ledger::Turn turn;
    turn.output[1] = &bytes;
    ASSERT_TRUE(ledger->commit(turn));
    out.reads.reset();
    EXPECT_EQ(ledger->write(Ledger::kToClient, out.writes.get(), GetParam()), -EPIPE);
}

TEST_P(LedgerTest, PassesOnWhatGoesBack) {
    using namespace std::chrono_literals;
    const bool is_socket = GetParam();
    auto ledger = std::move(Ledger::create().value());
    const Ends from = make_channel(is_socket), to = make_channel(is_socket);
    EXPECT_FALSE(ledger->goes_back());
    // Half a line of each side has been seen, and something of the server's waits to be seen, or to be read.
    ASSERT_TRUE(ledger->add(Ledger::kToServer, "half"));
    ASSERT_TRUE(ledger->add(Ledger::kToClient, "begun "));
    Ledger::Turn turn;
    turn.line_begun = {4, 6};
    turn.state = "state";
    turn.goes_back = true;
    ASSERT_TRUE(ledger->commit(turn));
    ASSERT_TRUE(ledger->add(Ledger::kToClient, "unseen "));
    ASSERT_EQ(::write(from.writes.get(), "unread", 6), 6);
    ledger = opened_again(std::move(ledger));
    ASSERT_TRUE(ledger->goes_back());
    ASSERT_TRUE(ledger->pass_on(Ledger::kToClient, from.reads.get(), to.writes.get(), is_socket));
    char text[64];
    EXPECT_EQ(std::string_view(text, ::read(to.reads.get(), text, sizeof(text))), "begun unseen unread");
    EXPECT_EQ(ledger->line_begun(Ledger::kToServer), "half");
    EXPECT_EQ(ledger->state(), "state");
    // Where nobody reads, what there is stays.
    const std::string much(1 << 20, 'x');
    ASSERT_TRUE(ledger->add(Ledger::kToClient, much));
    const Status full = ledger->pass_on(Ledger::kToClient, -1, to.writes.get(), is_socket);
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().kind, ErrorKind::limit);
    ledger = opened_again(std::move(ledger));
    EXPECT_TRUE(ledger->goes_back());
    int written = 0;
    ASSERT_EQ(ioctl(to.reads.get(), FIONREAD, &written), 0);
    EXPECT_EQ(static_cast<size_t>(written) + ledger->unwritten_bytes(Ledger::kToClient), much.size());
}

// A ledger of which more than a mebibyte has been written, and some is not; returns that.
std::string leave_a_rest(Ledger& ledger, Ledger::Flow flow, bool is_socket) {
    Ends sink = make_channel(is_socket);
    for (const Fd* fd : {&sink.reads, &sink.writes}) fcntl(fd->get(), F_SETFL, O_NONBLOCK | fcntl(fd->get(), F_GETFL));
    std::string first;
    for (size_t i = 0; first.size() < (size_t{3} << 19); ++i) first += std::to_string(i) + ",";
    Outbox out;
    out.append(first);
    Ledger::Turn turn;
    turn.output[flow] = &out;
    EXPECT_TRUE(ledger.commit(turn));
    static char buffer[1 << 16];
    while (ledger.unwritten_bytes(flow) > size_t{400} << 10) {
        EXPECT_GE(ledger.write(flow, sink.writes.get(), is_socket), 0);
        if (::read(sink.reads.get(), buffer, sizeof(buffer)) < 0 && errno != EAGAIN) abort();
    }
    const std::string rest = first.substr(first.size() - ledger.unwritten_bytes(flow));
    EXPECT_FALSE(rest.empty());
    EXPECT_EQ(ledger.unwritten(flow), rest);
    return rest;
}

// Until it is valid, another process would go on with the one before.
TEST_P(LedgerTest, ACommitTouchesNothingThatTheOneBeforeHasToWrite) {
    for (const auto flow : {Ledger::kToServer, Ledger::kToClient}) {
        auto ledger = std::move(Ledger::create().value());
        const std::string rest = leave_a_rest(*ledger, flow, GetParam());
        const std::string second(size_t{1} << 20, 'x'), too_much(Ledger::kEffectsBytesMax + 1, 'y');
        Outbox out;
        out.append(second);
        Ledger::Turn turn;
        turn.output[flow] = &out;
        turn.effects = too_much;
        ASSERT_FALSE(ledger->commit(turn));
        EXPECT_TRUE(ledger->unwritten(flow) == rest);
        ledger = opened_again(std::move(ledger));
        EXPECT_TRUE(ledger->unwritten(flow) == rest);
        turn.effects = {};
        ASSERT_TRUE(ledger->commit(turn));
        EXPECT_TRUE(ledger->unwritten(flow) == rest + second);
    }
}

TEST_P(LedgerTest, MemoryIsGivenBackWhileSomeIsNotWritten) {
    auto ledger = std::move(Ledger::create().value());
    const std::string rest = leave_a_rest(*ledger, Ledger::kToServer, GetParam());
    ASSERT_TRUE(ledger->commit({}));
    EXPECT_TRUE(ledger->unwritten(Ledger::kToServer) == rest);
    struct stat status;
    ASSERT_EQ(fstat(ledger->memory().get(), &status), 0);
    EXPECT_LT(status.st_blocks * 512, 512 << 10);
}

TEST_P(LedgerTest, ALineIsNoLongerThanWhatHasComeIn) {
    for (const auto flow : {Ledger::kToServer, Ledger::kToClient}) {
        auto ledger = std::move(Ledger::create().value());
        ASSERT_TRUE(ledger->add(flow, "four"));
        Ledger::Turn turn;
        turn.line_begun[flow] = 5;
        EXPECT_FALSE(ledger->commit(turn));
        EXPECT_EQ(ledger->unseen(flow), "four");
        turn.line_begun[flow] = 4;
        ASSERT_TRUE(ledger->commit(turn));
        turn.line_begun[flow] = 5;
        EXPECT_FALSE(ledger->commit(turn));
        EXPECT_EQ(ledger->line_begun(flow), "four");
        EXPECT_TRUE(opened_again(std::move(ledger)));
    }
}

TEST(LedgerFormat, ANewerOneIsRefusedAndAnythingElseIsNone) {
    auto ledger = std::move(Ledger::create().value());
    const uint32_t newer = Ledger::kFormat + 1;
    ASSERT_EQ(pwrite(ledger->memory().get(), &newer, sizeof(newer), 8), 4);
    auto refused = Ledger::open(copy_of(ledger->memory()),
                                {copy_of(ledger->pipe(Ledger::kToServer)), copy_of(ledger->pipe(Ledger::kToClient))});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::refused);
    EXPECT_NE(refused.error().text().find("newer"), std::string::npos);
    ASSERT_EQ(pwrite(ledger->memory().get(), "x", 1, 0), 1);
    EXPECT_FALSE(Ledger::open(copy_of(ledger->memory()), {}));
    EXPECT_FALSE(Ledger::open(Fd::adopt(memfd_create("none", MFD_CLOEXEC)), {}));
}

// A callgate that knows only the first refuses what it would get wrong, and nothing else.
TEST(LedgerFormat, IsTheLowestThatCanReadWhatIsInIt) {
    auto ledger = std::move(Ledger::create().value());
    const auto format = [&] {
        uint32_t found = 0;
        EXPECT_EQ(pread(ledger->memory().get(), &found, sizeof(found), 8), 4);
        return found;
    };
    Ledger::Turn turn;
    EXPECT_TRUE(ledger->commit(turn));
    EXPECT_EQ(format(), 1u);
    turn.format = 2;
    EXPECT_TRUE(ledger->commit(turn));
    turn.format = 1;
    EXPECT_TRUE(ledger->commit(turn));
    EXPECT_EQ(format(), 2u);
    EXPECT_TRUE(Ledger::open(copy_of(ledger->memory()),
                             {copy_of(ledger->pipe(Ledger::kToServer)), copy_of(ledger->pipe(Ledger::kToClient))}));
}

TEST(LedgerRoom, MemoryIsGivenBack) {
    auto ledger = std::move(Ledger::create().value());
    const std::string large(size_t{8} << 20, 'x');
    ASSERT_TRUE(ledger->add(Ledger::kToServer, large));
    Outbox out;
    out.append(large);
    Ledger::Turn turn;
    turn.output[0] = &out;
    ASSERT_TRUE(ledger->commit(turn));
    Ends sink = make_channel(true);
    char buffer[1 << 16];
    while (ledger->unwritten_bytes(Ledger::kToServer) > 0) {
        ASSERT_GE(ledger->write(Ledger::kToServer, sink.writes.get(), true), 0);
        while (recv(sink.reads.get(), buffer, sizeof(buffer), MSG_DONTWAIT) > 0) {
        }
    }
    turn.output[0] = nullptr;
    ASSERT_TRUE(ledger->commit(turn));
    struct stat status;
    ASSERT_EQ(fstat(ledger->memory().get(), &status), 0);
    EXPECT_LT(status.st_blocks * 512, 512 << 10);
}

}  // namespace
}  // namespace callgate
