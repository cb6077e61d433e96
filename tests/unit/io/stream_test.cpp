#include "io/stream.h"

#include <array>

#include "ring_world.h"

namespace callgate {
namespace {

class StreamTest : public ::testing::TestWithParam<ChannelAndRing> {
  protected:
    Kind channel() const { return std::get<Kind>(GetParam()); }
    bool is_socket() const { return channel() == Kind::socket; }
    std::unique_ptr<Source> source(Fd fd) {
        return std::make_unique<Source>(*world_.ring, std::move(fd), is_socket(),
                                        Source::Events{[this](std::string_view bytes) { text_ += bytes; }, [this] { ++ends_; }});
    }
    std::unique_ptr<Sink> sink(Fd fd) {
        return std::make_unique<Sink>(*world_.ring, std::move(fd), is_socket(),
                                      Sink::Events{[this] { ++written_; }, [this] { ++gone_; }, [this] { ++finished_; }},
                                      Sink::Owner::others);
    }
    // A while has passed since it was asked first, and since it last said so.
    bool has_waited() {
        if (!since_ns_) since_ns_ = monotonic_ns();
        const bool has = monotonic_ns() - since_ns_ > 50'000'000;
        if (has) since_ns_ = 0;
        return has;
    }
    int64_t since_ns_ = 0;
    RingWorld world_{std::get<Ring::Kind>(GetParam())};
    ChannelEnds ends_of_ = make_channel(channel());
    std::string text_;
    int ends_ = 0, written_ = 0, gone_ = 0, finished_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Channels, StreamTest, kChannelsAndRings, [](const auto& each) { return name_of(each.param); });

TEST_P(StreamTest, ReadsUntilTheEnd) {
    auto reading = source(std::move(ends_of_.read));
    reading->resume();
    EXPECT_TRUE(world_.run({[&] { return write(ends_of_.write.get(), "one", 3) == 3; }, [&] { return text_ == "one"; },
                            [&] { return write(ends_of_.write.get(), "two", 3) == 3; }, [&] { return text_ == "onetwo"; },
                            [&] {
                                ends_of_.write.reset();
                                return true;
                            },
                            [&] { return ends_ == 1; }}));
    EXPECT_FALSE(reading->open());
    EXPECT_TRUE(reading->idle());
    EXPECT_GE(reading->fd(), 0);
}

TEST_P(StreamTest, StopKeepsTheDescriptor) {
    auto reading = source(std::move(ends_of_.read));
    int number = reading->fd();
    reading->resume();
    EXPECT_TRUE(world_.run({[&] {
                                (void)!write(ends_of_.write.get(), "late", 4);
                                reading->stop();
                                return true;
                            },
                            [&] { return reading->idle(); }}));
    EXPECT_EQ(reading->fd(), number);
    EXPECT_EQ(ends_, 0);
    char rest[16];
    fcntl(number, F_SETFL, O_NONBLOCK);
    ssize_t got = read(number, rest, sizeof(rest));
    EXPECT_EQ(text_ + std::string(rest, got > 0 ? got : 0), "late");
    reading->close();
    EXPECT_EQ(reading->fd(), -1);
}

TEST_P(StreamTest, CloseWithAReadInFlight) {
    auto reading = source(std::move(ends_of_.read));
    reading->resume();
    EXPECT_TRUE(world_.run({[&] { return !reading->idle(); },
                            [&] {
                                reading->close();
                                return true;
                            },
                            [&] { return reading->idle(); }}));
    EXPECT_EQ(reading->fd(), -1);
    EXPECT_EQ(ends_, 0);
}

TEST_P(StreamTest, PausedSourceReadsNoMore) {
    auto reading = source(std::move(ends_of_.read));
    reading->resume();
    reading->pause();
    EXPECT_TRUE(world_.run({[&] { return write(ends_of_.write.get(), "1", 1) == 1; }, [&] { return text_ == "1"; },
                            [&] { return reading->idle() && write(ends_of_.write.get(), "2", 1) == 1; },
                            [&] {
                                EXPECT_EQ(text_, "1");
                                reading->resume();
                                return true;
                            },
                            [&] { return text_ == "12"; },
                            [&] {
                                reading->close();
                                return true;
                            },
                            [&] { return reading->idle(); }}));
}

TEST_P(StreamTest, WhatASocketTakesIsWrittenAtOnce) {
    auto writing = sink(std::move(ends_of_.write));
    writing->pending().append("one ");
    writing->pending().append("two");
    writing->flush();
    EXPECT_EQ(writing->pending_bytes(), is_socket() ? 0u : 7u);
    EXPECT_EQ(writing->idle(), is_socket());
    EXPECT_TRUE(world_.run({[&] { return writing->idle(); },
                            [&] {
                                writing->finish();
                                return true;
                            },
                            [&] { return finished_ == 1; },
                            [&] {
                                writing->close();
                                return writing->idle();
                            }}));
    EXPECT_EQ(written_, is_socket() ? 0 : 1);
    char text[16];
    EXPECT_EQ(read(ends_of_.read.get(), text, sizeof(text)), 7);
    EXPECT_EQ(std::string_view(text, 7), "one two");
}

// More than fits: the rest follows when there is room, in order, and it is told.
TEST_P(StreamTest, WhatDoesNotFitFollows) {
    std::string bytes(8 << 20, 'x');
    for (size_t i = 0; i < bytes.size(); i += 1000) bytes[i] = static_cast<char>('a' + i / 1000 % 26);
    auto writing = sink(std::move(ends_of_.write));
    auto reading = source(std::move(ends_of_.read));
    writing->pending().append(bytes);
    writing->flush();
    EXPECT_GT(writing->pending_bytes(), 0u);
    writing->pending().append("end");
    reading->resume();
    EXPECT_TRUE(world_.run({[&] { return text_.size() == bytes.size() + 3; }, [&] { return writing->idle(); },
                            [&] {
                                reading->close();
                                writing->close();
                                return reading->idle() && writing->idle();
                            }}));
    EXPECT_TRUE(text_ == bytes + "end");
    EXPECT_GT(written_, 0);
}

TEST_P(StreamTest, ReadsIntoMemoryThatIsOffered) {
    std::array<char, 16> memory{};
    const char* seen = nullptr;
    Source reading(*world_.ring, std::move(ends_of_.read), is_socket(),
                   {[&](std::string_view bytes) { seen = bytes.data(), text_ += bytes; }, [this] { ++ends_; },
                    [&] { return text_.empty() ? std::span<char>() : std::span<char>(memory); }});
    reading.resume();
    EXPECT_TRUE(world_.run({[&] { return write(ends_of_.write.get(), "one", 3) == 3; }, [&] { return text_ == "one"; },
                            [&] {
                                EXPECT_NE(seen, memory.data());
                                return true;
                            },
                            [&] { return write(ends_of_.write.get(), "two", 3) == 3; }, [&] { return text_ == "onetwo"; },
                            [&] {
                                EXPECT_EQ(seen, memory.data());
                                return true;
                            },
                            [&] {
                                reading.close();
                                return true;
                            },
                            [&] { return reading.idle(); }}));
}

TEST_P(StreamTest, AFrameAndWhatFollowsAreWrittenInOrder) {
    auto writing = sink(std::move(ends_of_.write));
    const std::string frame(1 << 20, 'f');
    std::string received;
    EXPECT_TRUE(world_.run({[&] {
                                writing->pending().adopt(Bytes(frame));
                                writing->pending().append("then");
                                writing->flush();
                                writing->pending().append("last");
                                return true;
                            },
                            [&] {
                                received += drain(ends_of_.read);
                                return received.size() == frame.size() + 8;
                            },
                            [&] { return writing->pending_bytes() == 0; }}));
    EXPECT_EQ(received, frame + "thenlast");
    writing->close();
}

TEST_P(StreamTest, FullChannelHoldsBytesBack) {
    auto writing = sink(std::move(ends_of_.write));
    const std::string large(1 << 20, 'x');
    std::string received;
    EXPECT_TRUE(world_.run({[&] {
                                writing->pending().append(large);
                                writing->flush();
                                writing->finish();
                                return true;
                            },
                            [&] {
                                received += drain(ends_of_.read);
                                return received.size() == large.size();
                            },
                            [&] { return finished_ == 1; }, [&] { return writing->pending_bytes() == 0; }}));
    EXPECT_EQ(received, large);
    char byte;
    EXPECT_EQ(read(ends_of_.read.get(), &byte, 1), 0);
    EXPECT_EQ(gone_, 0);
    writing->close();
}

// O_NONBLOCK is the file's, and others who share it may want it: the loop sleeps all the same.
TEST_P(StreamTest, NonblockingSourceIsWaitedFor) {
    set_nonblocking(ends_of_.read);
    int asked = 0;  // before each read
    Source reading(*world_.ring, std::move(ends_of_.read), is_socket(),
                   {[this](std::string_view bytes) { text_ += bytes; }, [this] { ++ends_; },
                    [&] {
                        ++asked;
                        return std::span<char>();
                    }});
    reading.resume();
    EXPECT_TRUE(world_.run({[this] { return has_waited(); }, [&] { return write(ends_of_.write.get(), "one", 3) == 3; },
                            [&] { return text_ == "one"; }, [this] { return has_waited(); },
                            [&] { return write(ends_of_.write.get(), "two", 3) == 3; }, [&] { return text_ == "onetwo"; },
                            [&] {
                                ends_of_.write.reset();
                                return true;
                            },
                            [&] { return ends_ == 1; }}));
    EXPECT_LE(asked, 8);
}

TEST_P(StreamTest, NonblockingSinkIsWaitedFor) {
    auto writing = sink(std::move(ends_of_.write));
    fcntl(writing->fd(), F_SETFL, fcntl(writing->fd(), F_GETFL) | O_NONBLOCK);
    std::string large, received;
    for (int number = 0; large.size() < 1 << 20; ++number) large += std::to_string(number) + " ";
    EXPECT_TRUE(world_.run({[&] {
                                writing->pending().append(large);
                                writing->flush();
                                writing->finish();
                                return true;
                            },
                            [this] { return has_waited(); },
                            [&] {
                                EXPECT_LE(written_, 8);
                                return true;
                            },
                            [&] {
                                received += drain(ends_of_.read);
                                return received.size() == large.size();
                            },
                            [&] { return finished_ == 1; }}));
    EXPECT_TRUE(received == large);
    writing->close();
}

TEST_P(StreamTest, HangUpIsNoticedWithoutWriting) {
    auto writing = sink(std::move(ends_of_.write));
    writing->watch_hangup();
    EXPECT_TRUE(world_.run({[&] {
                                ends_of_.read.reset();
                                return true;
                            },
                            [&] { return gone_ == 1; }, [&] { return writing->idle(); }}));
    EXPECT_FALSE(writing->open());
    EXPECT_EQ(writing->fd(), -1);
}

TEST_P(StreamTest, WritingToNobody) {
    signal(SIGPIPE, SIG_IGN);
    auto writing = sink(std::move(ends_of_.write));
    ends_of_.read.reset();
    EXPECT_TRUE(world_.run({[&] {
                                writing->pending().append("x");
                                writing->flush();
                                return true;
                            },
                            [&] { return gone_ == 1; }}));
    EXPECT_EQ(writing->pending_bytes(), 0u);
    writing->pending().append("y");
    writing->flush();
    EXPECT_EQ(writing->pending_bytes(), 0u);
}

TEST_P(StreamTest, CloseWithAWriteInFlight) {
    auto writing = sink(std::move(ends_of_.write));
    writing->watch_hangup();
    EXPECT_TRUE(world_.run({[&] {
                                writing->pending().append(std::string(4 << 20, 'x'));
                                writing->flush();
                                return true;
                            },
                            [&] { return !writing->idle(); },
                            [&] {
                                writing->close();
                                return true;
                            },
                            [&] { return writing->idle(); }}));
    EXPECT_EQ(writing->fd(), -1);
    EXPECT_EQ(gone_, 0);
}

// io_uring says of a socket that its other side has shut down, asked for or not: that is no room to write.
class HalfClosedTest : public ::testing::TestWithParam<Ring::Kind> {};
INSTANTIATE_TEST_SUITE_P(Rings, HalfClosedTest, ::testing::Values(Ring::Kind::io_uring, Ring::Kind::epoll),
                         [](const auto& each) { return name_of(each.param); });

TEST_P(HalfClosedTest, FullSocketIsWaitedFor) {
    RingWorld world(GetParam());
    ChannelEnds ends = make_channel(Kind::socket);
    auto ledger = Ledger::create();
    ASSERT_TRUE(ledger.ok());
    std::string large, received;
    for (int number = 0; large.size() < 1 << 20; ++number) large += std::to_string(number) + " ";
    Outbox bytes;
    bytes.append(large);
    Ledger::Turn turn;
    turn.output[Ledger::kToClient] = &bytes;
    ASSERT_TRUE((*ledger)->commit(turn));
    int written = 0, finished = 0;
    Sink sink(*world.ring, std::move(ends.write), true, {[&] { ++written; }, [] {}, [&] { ++finished; }}, Sink::Owner::others);
    sink.use_ledger(**ledger, Ledger::kToClient);
    ::shutdown(ends.read.get(), SHUT_WR);
    const int64_t begun_ns = monotonic_ns();
    EXPECT_TRUE(world.run({[&] {
                               sink.flush();
                               sink.finish();
                               return true;
                           },
                           [&] { return monotonic_ns() - begun_ns > 100'000'000; },
                           [&] {
                               EXPECT_LE(written, 20);
                               return true;
                           },
                           [&] {
                               received += drain(ends.read);
                               return received.size() == large.size();
                           },
                           [&] { return finished == 1; }}));
    EXPECT_TRUE(received == large);
    sink.close();
}

}  // namespace
}  // namespace callgate
