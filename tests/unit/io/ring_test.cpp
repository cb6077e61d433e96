#include "io/ring.h"

#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <thread>
#include <vector>

#include "ring_world.h"

namespace callgate {
namespace {

using namespace std::chrono_literals;

class RingTest : public ::testing::TestWithParam<Ring::Kind> {};
INSTANTIATE_TEST_SUITE_P(Rings, RingTest, ::testing::Values(Ring::Kind::io_uring, Ring::Kind::epoll),
                         [](const auto& each) { return name_of(each.param); });

TEST_P(RingTest, TimersRunInTheOrderOfTheirTimes) {
    RingWorld world(GetParam());
    std::string order;
    world.ring->after(3ms, [&] { order += 'c'; });
    world.ring->after(1ms, [&] { order += 'a'; });
    world.ring->after(2ms, [&] { order += 'b'; });
    EXPECT_TRUE(world.run({[&] { return order.size() == 3; }}));
    EXPECT_EQ(order, "abc");
    EXPECT_EQ(world.ring->kind(), GetParam());
    EXPECT_NE(world.ring->features(), "");
}

TEST_P(RingTest, PostedTasksRunInOrderOnTheLoop) {
    RingWorld world(GetParam());
    auto loop = std::this_thread::get_id();
    std::vector<int> seen;
    bool elsewhere = false;
    std::thread poster([&] {
        for (int i = 0; i < 1000; ++i)
            world.ring->post([&, i] {
                seen.push_back(i);
                elsewhere |= std::this_thread::get_id() != loop;
            });
    });
    EXPECT_TRUE(world.run({[&] { return seen.size() == 1000; }}));
    poster.join();
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    EXPECT_FALSE(elsewhere);
}

TEST_P(RingTest, StopFromAnotherThread) {
    RingWorld world(GetParam());
    std::thread stopper([&] { world.ring->stop(); });
    world.ring->run();
    stopper.join();
}

struct Recorder : Completion {
    void complete(int result, std::string_view bytes) override {
        ++times;
        last = result;
        text.append(bytes);
    }
    int times = 0, last = 0;
    std::string text;
};

TEST_P(RingTest, ReadsAndWrites) {
    for (Kind kind : {Kind::pipe, Kind::socket}) {
        RingWorld world(GetParam());
        ChannelEnds ends = make_channel(kind);
        Recorder reading, writing;
        world.ring->read(ends.read.get(), kind == Kind::socket, &reading);
        world.ring->write(ends.write.get(), kind == Kind::socket, "hello", &writing);
        EXPECT_TRUE(world.run({[&] { return reading.times && writing.times; }}));
        EXPECT_EQ(reading.text, "hello");
        EXPECT_EQ(writing.last, 5);
    }
}

// More is done in one turn than the kernel's queue of what is done has places: it keeps the rest, and each is told once.
// The other ring has no such queue.
TEST(Uring, MoreCompletionsThanTheQueueHolds) {
    RingWorld world(Ring::Kind::io_uring);
    const Fd nowhere = Fd::adopt(open("/dev/null", O_WRONLY | O_CLOEXEC));
    const ChannelEnds ends = make_channel(Kind::pipe);
    std::vector<Recorder> writing(40'000);
    for (Recorder& each : writing) world.ring->write(nowhere.get(), false, "x", &each);
    Recorder reading;
    world.ring->read(ends.read.get(), false, &reading);
    ASSERT_EQ(write(ends.write.get(), "after", 5), 5);
    EXPECT_TRUE(world.run({[&] { return reading.times == 1 && writing.back().times == 1; }}));
    EXPECT_TRUE(
        std::all_of(writing.begin(), writing.end(), [](const Recorder& each) { return each.times == 1 && each.last == 1; }));
    EXPECT_EQ(reading.text, "after");
}

TEST_P(RingTest, CancelCompletesEveryOperation) {
    RingWorld world(GetParam());
    ChannelEnds ends = make_channel(Kind::pipe);
    Recorder reading;
    world.ring->read(ends.read.get(), false, &reading);
    EXPECT_TRUE(world.run({[&] {
                               world.ring->cancel(&reading);
                               return true;
                           },
                           [&] { return reading.times == 1; }}));
    EXPECT_EQ(reading.last, -ECANCELED);
}

TEST_P(RingTest, ReadsIntoMemoryOfTheCallers) {
    for (Kind kind : {Kind::pipe, Kind::socket}) {
        RingWorld world(GetParam());
        ChannelEnds ends = make_channel(kind);
        Recorder reading;
        std::array<char, 3> memory{};
        world.ring->read_into(ends.read.get(), kind == Kind::socket, memory, &reading);
        EXPECT_EQ(write(ends.write.get(), "hello", 5), 5);
        EXPECT_TRUE(world.run({[&] { return reading.times; }}));
        EXPECT_EQ(reading.last, 3);
        EXPECT_EQ(reading.text, "");
        EXPECT_EQ(std::string(memory.data(), memory.size()), "hel");
        EXPECT_EQ(drain(ends.read), "lo");
    }
}

// The file is another program's as well: whether a call on it waits is not the ring's to say.
TEST_P(RingTest, WaitsForNothingAndLeavesTheFileAsItIs) {
    for (Kind kind : {Kind::pipe, Kind::socket}) {
        RingWorld world(GetParam());
        ChannelEnds ends = make_channel(kind);
        const std::string long_text(4 << 20, 'x');
        Recorder reading, writing;
        world.ring->write(ends.write.get(), kind == Kind::socket, long_text, &writing);
        EXPECT_TRUE(world.run({[&] { return writing.times > 0 || kind == Kind::pipe; },
                               [&] { return (fcntl(ends.write.get(), F_GETFL) & O_NONBLOCK) == 0; },
                               [&] { return world.ring->cancel(&writing), true; }, [&] { return writing.times == 1; }}));
        const std::string arrived = drain(ends.read);
        EXPECT_EQ(arrived.size(), writing.last > 0 ? static_cast<size_t>(writing.last) : 0u);
    }
}

TEST_P(RingTest, OneDescriptorHasSeveralOperations) {
    RingWorld world(GetParam());
    ChannelEnds ends = make_channel(Kind::socket);
    Recorder hangup, readable, writable;
    world.ring->poll_hangup(ends.read.get(), &hangup);
    world.ring->poll_readable(ends.read.get(), &readable);
    world.ring->poll_writable(ends.read.get(), &writable);
    EXPECT_TRUE(world.run({[&] { return writable.times == 1; },
                           [&] { return readable.times == 0 && write(ends.write.get(), "x", 1) == 1; },
                           [&] { return readable.times == 1 && hangup.times == 0; }, [&] { return ends.write.reset(), true; },
                           [&] { return hangup.times == 1; }}));
    EXPECT_TRUE(readable.last & POLLIN);
    EXPECT_TRUE(hangup.last & POLLHUP);
}

// A completion that closes its descriptor, and another of the same number and file that is opened then.
TEST_P(RingTest, DescriptorsAreClosedAndOpenedAgain) {
    RingWorld world(GetParam());
    ChannelEnds ends = make_channel(Kind::pipe);
    const Fd held = Fd::adopt(fcntl(ends.read.get(), F_DUPFD_CLOEXEC, 0));
    struct Reopening : Recorder {
        void complete(int result, std::string_view bytes) override {
            Recorder::complete(result, bytes);
            const int before = fd->get();
            fd->reset();
            *fd = Fd::adopt(fcntl(again, F_DUPFD_CLOEXEC, before));
            if (times < 3) ring->read(fd->get(), false, this);
        }
        Ring* ring;
        Fd* fd;
        int again;
    } reading;
    reading.ring = world.ring.get();
    reading.fd = &ends.read;
    reading.again = held.get();
    world.ring->read(ends.read.get(), false, &reading);
    int wrote = 0;
    EXPECT_TRUE(world.run({[&] {
        if (reading.times < wrote) return false;
        if (wrote == 3) return true;
        ++wrote;
        return write(ends.write.get(), "x", 1) != 1;
    }}));
    EXPECT_EQ(reading.text, "xxx");
}

TEST_P(RingTest, WhatCannotBeDoneIsSaid) {
    RingWorld world(GetParam());
    ChannelEnds ends = make_channel(Kind::socket);
    Recorder reading, writing;
    world.ring->read(ends.read.get(), true, &reading);
    ends.write.reset();
    EXPECT_TRUE(world.run({[&] { return reading.times == 1; },
                           [&] { return world.ring->write(ends.read.get(), true, "x", &writing), true; },
                           [&] { return writing.times == 1; }}));
    EXPECT_EQ(reading.last, 0);
    EXPECT_EQ(writing.last, -EPIPE);
}

// More readers than there are buffers: all get their bytes.
TEST_P(RingTest, BuffersAreUsedAgain) {
    RingWorld world(GetParam());
    ChannelEnds ends = make_channel(Kind::pipe);
    Recorder reading;
    int wanted = 0;
    EXPECT_TRUE(world.run({[&] {
        if (reading.times < wanted) return false;
        if (wanted == 200) return true;
        ++wanted;
        world.ring->read(ends.read.get(), false, &reading);
        (void)!write(ends.write.get(), "x", 1);
        return false;
    }}));
    EXPECT_EQ(reading.text, std::string(200, 'x'));
}

TEST_P(RingTest, AcceptsAndSaysWhenAConnectionIsMade) {
    RingWorld world(GetParam());
    Fd listener = Fd::adopt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(at);
    ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&at), length), 0);
    ASSERT_EQ(listen(listener.get(), 4), 0);
    ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&at), &length), 0);
    Fd client = Fd::adopt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    Recorder accepting, connecting;
    world.ring->accept(listener.get(), &accepting);
    (void)connect(client.get(), reinterpret_cast<sockaddr*>(&at), length);
    world.ring->poll_writable(client.get(), &connecting);
    EXPECT_TRUE(world.run({[&] { return accepting.times && connecting.times; }}));
    EXPECT_TRUE(connecting.last & POLLOUT);
    Fd accepted = Fd::adopt(accepting.last);
    ASSERT_TRUE(accepted.valid());
    EXPECT_TRUE(fcntl(accepted.get(), F_GETFD) & FD_CLOEXEC);
    EXPECT_EQ(write(accepted.get(), "x", 1), 1);
    ASSERT_EQ(fcntl(client.get(), F_SETFL, 0), 0);
    EXPECT_EQ(drain(client), "x");
}

}  // namespace
}  // namespace callgate
