#include "lifecycle/server_exits.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../io/ring_world.h"
#include "base/clock.h"

namespace callgate {
namespace {

// A child that ends when it is told to, seized as the watcher seizes those that end.
class Child {
  public:
    Child() {
        int ends[2];
        if (pipe(ends)) abort();
        pid_ = fork();
        if (pid_ == 0) {
            close(ends[1]);
            char byte;
            (void)!read(ends[0], &byte, 1);
            _exit(7);
        }
        close(ends[0]);
        end_ = ends[1];
        EXPECT_EQ(ptrace(PTRACE_SEIZE, pid_, nullptr, 0L), 0) << strerror(errno);
    }
    ~Child() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, __WALL);
        if (end_ >= 0) close(end_);
    }
    void end() {
        close(end_);
        end_ = -1;
    }
    pid_t pid() const { return pid_; }
    bool reaped() const { return kill(pid_, 0) != 0; }

  private:
    pid_t pid_;
    int end_;
};

TEST(ServerExits, ReapsOnlyWhenTheOutputWasDeliveredAtTwoLooks) {
    RingWorld world;
    Child child;
    int looks = 0;
    ServerExits exits(*world.ring, [&](const std::string& session) {
        EXPECT_EQ(session, "S");
        EXPECT_FALSE(child.reaped());
        ++looks;
        return looks == 2 || looks >= 4;  // once in between, as while a read is on its way
    });
    child.end();
    exits.add("S", child.pid(), monotonic_ns());
    EXPECT_TRUE(world.run({[&] { return child.reaped(); }}));
    EXPECT_EQ(looks, 5);
    EXPECT_EQ(exits.overdue(), 0u);
}

TEST(ServerExits, DoesNotAskBeforeTheProcessHasClosedItsFiles) {
    RingWorld world;
    Child child;
    bool ended = false;
    ServerExits exits(*world.ring, [&](const std::string&) {
        EXPECT_TRUE(ended);
        return true;
    });
    exits.add("S", child.pid(), monotonic_ns());
    world.ring->after(std::chrono::milliseconds(5), [&] {
        ended = true;
        child.end();
    });
    EXPECT_TRUE(world.run({[&] { return child.reaped(); }}));
}

TEST(ServerExits, LetsGoWhenTheTimeIsUp) {
    RingWorld world;
    Child child;
    ServerExits exits(*world.ring, [](const std::string&) { return false; });
    child.end();
    exits.add("S", child.pid(), monotonic_ns() - kExitNanoseconds + 20'000'000);
    EXPECT_TRUE(world.run({[&] { return child.reaped(); }}));
    EXPECT_EQ(exits.overdue(), 1u);
}

}  // namespace
}  // namespace callgate
