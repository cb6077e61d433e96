// A ring on this thread, with a deadline on everything that is waited for.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "../../slowness.h"
#include "base/clock.h"
#include "io/ring.h"

namespace callgate {

class RingWorld {
  public:
    explicit RingWorld(Ring::Kind kind = Ring::Kind::io_uring) {
        auto made = Ring::create(kind);
        EXPECT_TRUE(made.ok()) << made.error().text();
        ring = std::move(made).value();
    }
    // Runs the loop (once in a ring's life) until every step has become true, one after the other. False where the
    // deadline came first.
    bool run(std::vector<std::function<bool()>> steps) {
        deadline_ns_ = monotonic_ns() + kSlowness * int64_t{2'000'000'000};
        steps_ = std::move(steps);
        look();
        ring->run();
        return done_ == steps_.size();
    }
    std::unique_ptr<Ring> ring;

  private:
    void look() {
        while (done_ < steps_.size() && steps_[done_]()) ++done_;
        if (done_ == steps_.size() || monotonic_ns() > deadline_ns_) return ring->stop();
        ring->after(std::chrono::microseconds(200), [this] { look(); });
    }
    std::vector<std::function<bool()>> steps_;
    size_t done_ = 0;
    int64_t deadline_ns_ = 0;
};

inline const char* name_of(Ring::Kind kind) { return kind == Ring::Kind::io_uring ? "IoUring" : "Epoll"; }

struct ChannelEnds {
    Fd read, write;
};
enum class Kind { pipe, socket };

// For tests of what must be the same on each of them.
using ChannelAndRing = std::tuple<Kind, Ring::Kind>;
inline const auto kChannelsAndRings =
    ::testing::Combine(::testing::Values(Kind::pipe, Kind::socket), ::testing::Values(Ring::Kind::io_uring, Ring::Kind::epoll));
inline std::string name_of(const ChannelAndRing& both) {
    return std::string(std::get<Kind>(both) == Kind::pipe ? "Pipe" : "Socket") + name_of(std::get<Ring::Kind>(both));
}

inline ChannelEnds make_channel(Kind kind, int flags = 0) {
    int ends[2];
    if (kind == Kind::pipe) {
        EXPECT_EQ(pipe2(ends, O_CLOEXEC | flags), 0);
    } else {
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, ends), 0);
    }
    return {Fd::adopt(ends[0]), Fd::adopt(ends[1])};
}
inline void set_nonblocking(const Fd& fd) { fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK); }
// Whatever can be read right now.
inline std::string drain(const Fd& fd) {
    set_nonblocking(fd);
    std::string all;
    char buffer[65536];
    for (ssize_t got; (got = ::read(fd.get(), buffer, sizeof(buffer))) > 0;) all.append(buffer, got);
    return all;
}

}  // namespace callgate
