#include "lifecycle/http_peers.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session/process_dir.h"

namespace callgate {
namespace {

// A process that does nothing until the test ends it.
class Idle {
  public:
    Idle() : pid_(fork()) {
        if (pid_ != 0) return;
        for (;;) pause();
    }
    ~Idle() { end(); }
    Idle(const Idle&) = delete;
    Idle& operator=(const Idle&) = delete;
    void end() {
        if (pid_ <= 0) return;
        kill(pid_, SIGKILL);
        waitpid(std::exchange(pid_, 0), nullptr, 0);
    }
    // As the kernel notes it.
    cg_peer peer(uint32_t exec_id) const {
        const uint64_t ticks = ProcessDir::open(pid_)->stat()->start_time;
        const auto tick_ns = static_cast<uint64_t>(1'000'000'000 / sysconf(_SC_CLK_TCK));
        return {static_cast<uint32_t>(pid_), 65534, ticks * tick_ns + tick_ns / 2, exec_id, 0};
    }

  private:
    pid_t pid_;
};

TEST(HttpPeers, WhatANotedProgramWasIsRememberedBeyondItsEnd) {
    HttpPeers peers;
    Idle client;
    const cg_peer peer = client.peer(7);
    const std::string exe = peers.identify(peer).process.exe;
    EXPECT_FALSE(exe.empty());
    EXPECT_EQ(peers.identify(peer).process.uid, 65534u) << "of the call, not of the process";
    client.end();
    EXPECT_EQ(peers.identify(peer).process.exe, exe);
}

TEST(HttpPeers, AnotherProgramOfTheSameProcessIsLookedAtAgain) {
    HttpPeers peers;
    Idle client;
    const cg_peer before = client.peer(7), after = client.peer(8);
    EXPECT_FALSE(peers.identify(before).process.exe.empty());
    client.end();
    EXPECT_EQ(peers.identify(after).process.exe, "");
    EXPECT_EQ(peers.identify(after).process.pid, static_cast<pid_t>(after.tgid));
}

// The process that has the number by now is not the one that connected.
TEST(HttpPeers, AnotherProcessWithTheSameNumberIsNotTakenForIt) {
    HttpPeers peers;
    Idle client;
    cg_peer earlier = client.peer(7);
    earlier.start_ns -= 1'000'000'000;
    const PeerIdentity found = peers.identify(earlier);
    EXPECT_EQ(found.process.exe, "");
    EXPECT_EQ(found.process.uid, 65534u);
    EXPECT_FALSE(peers.identify(client.peer(7)).process.exe.empty());
}

TEST(HttpPeers, WhomTheAgentNotedIsWhatItRunsNow) {
    HttpPeers peers;
    Idle client;
    const cg_peer peer{client.peer(0).tgid, 0, 0, 0, 0};
    EXPECT_FALSE(peers.identify(peer).process.exe.empty());
    client.end();
    EXPECT_EQ(peers.identify(peer).process.exe, "");
    EXPECT_EQ(peers.identify(std::nullopt).process.pid, 0);
}

}  // namespace
}  // namespace callgate
