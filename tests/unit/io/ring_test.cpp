#include "io/ring.h"

#include <poll.h>
#include <netinet/in.h>

#include <thread>

#include "ring_world.h"

namespace callgate {
namespace {

using namespace std::chrono_literals;

TEST(Ring, TimersRunInTheOrderOfTheirTimes) {
    RingWorld world;
    std::string order;
    world.ring->after(3ms, [&] { order += 'c'; });
    world.ring->after(1ms, [&] { order += 'a'; });
    world.ring->after(2ms, [&] { order += 'b'; });
    EXPECT_TRUE(world.run({[&] { return order.size() == 3; }}));
    EXPECT_EQ(order, "abc");
    EXPECT_NE(world.ring->features(), "");
}

TEST(Ring, PostedTasksRunInOrderOnTheLoop) {
    RingWorld world;
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

TEST(Ring, StopFromAnotherThread) {
    RingWorld world;
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

TEST(Ring, ReadsAndWrites) {
    for (Kind kind : {Kind::pipe, Kind::socket}) {
        RingWorld world;
        ChannelEnds ends = make_channel(kind);
        Recorder reading, writing;
        world.ring->read(ends.read.get(), kind == Kind::socket, &reading);
        world.ring->write(ends.write.get(), kind == Kind::socket, "hello", &writing);
        EXPECT_TRUE(world.run({[&] { return reading.times && writing.times; }}));
        EXPECT_EQ(reading.text, "hello");
        EXPECT_EQ(writing.last, 5);
    }
}

TEST(Ring, CancelCompletesEveryOperation) {
    RingWorld world;
    ChannelEnds ends = make_channel(Kind::pipe);
    Recorder reading;
    world.ring->read(ends.read.get(), false, &reading);
    EXPECT_TRUE(world.run({[&] { world.ring->cancel(&reading); return true; }, [&] { return reading.times == 1; }}));
    EXPECT_EQ(reading.last, -ECANCELED);
}

// More readers than there are buffers: all get their bytes.
TEST(Ring, BuffersAreUsedAgain) {
    RingWorld world;
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

TEST(Ring, AcceptsAndSaysWhenAConnectionIsMade) {
    RingWorld world;
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
