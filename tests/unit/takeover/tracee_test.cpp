// Threads that cannot be let go at once: they are let go later, and nobody who waits for them is kept.
#include "takeover/tracee.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>

#include <cstring>
#include <string>

#include "../kernel/child.h"
#include "kernel/proc.h"

namespace callgate {
namespace {

// What the child has said within two seconds.
std::string heard(const Fd& fd, size_t bytes) {
    std::string text;
    fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    comes_true([&] {
        char buffer[64];
        ssize_t got = read(fd.get(), buffer, bytes - text.size());
        if (got > 0) text.append(buffer, got);
        return text.size() == bytes;
    });
    return text;
}

bool is_in_state(pid_t pid, const char* state) {
    auto text = read_small_file(proc_path(pid, "status"), 4096);
    return text && text->find(state) != std::string::npos;
}

TEST(Tracee, KilledInItsStopIsSeenByItsParent) {
    Ends said = make_pipe();
    Child parent([&] {
        pid_t server = fork();
        if (!server) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pause();
        }
        (void)!write(said.write.get(), &server, sizeof(server));
        int status = 0;
        waitpid(server, &status, 0);
        (void)!write(said.write.get(), &status, sizeof(status));
    });
    std::string first = heard(said.read, sizeof(pid_t));
    ASSERT_EQ(first.size(), sizeof(pid_t));
    pid_t server = 0;
    memcpy(&server, first.data(), sizeof(server));
    auto tracee = Tracee::stop(server, {});
    ASSERT_TRUE(tracee.ok()) << tracee.error().text();
    kill(server, SIGKILL);
    tracee->reset();
    EXPECT_TRUE(comes_true([] { return !Tracee::let_go_of_those_left_behind(); }));
    EXPECT_FALSE(Tracee::is_ours(server));
    std::string second = heard(said.read, sizeof(int));
    ASSERT_EQ(second.size(), sizeof(int)) << "the parent still waits";
    int status = 0;
    memcpy(&status, second.data(), sizeof(status));
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

// Whoever has made a child with CLONE_VFORK sleeps until it executes something or ends, and nothing but death wakes it.
TEST(Tracee, ThreadThatSleepsGoesOnWhenItWakes) {
    Ends release = make_pipe(), said = make_pipe();
    Child sleeper([&] {
        char byte;
        if (syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            (void)!read(release.read.get(), &byte, 1);
            _exit(0);
        }
        for (;;) {
            (void)!write(said.write.get(), "w", 1);
            if (read(release.read.get(), &byte, 1) != 1) return;
        }
    });
    ASSERT_TRUE(comes_true([&] { return is_in_state(sleeper.pid(), "D (disk sleep)"); }));
    auto tracee = Tracee::interrupt(sleeper.pid(), {});
    ASSERT_TRUE(tracee.ok()) << tracee.error().text();
    tracee->reset();
    EXPECT_TRUE(Tracee::is_ours(sleeper.pid()));
    EXPECT_TRUE(Tracee::let_go_of_those_left_behind());
    EXPECT_EQ(write(release.write.get(), "1", 1), 1);
    EXPECT_TRUE(comes_true([] { return !Tracee::let_go_of_those_left_behind(); }));
    EXPECT_FALSE(Tracee::is_ours(sleeper.pid()));
    EXPECT_EQ(heard(said.read, 1), "w");
    EXPECT_EQ(write(release.write.get(), "2", 1), 1);
    EXPECT_EQ(heard(said.read, 1), "w");
    EXPECT_EQ(status_value(sleeper.pid(), "TracerPid"), 0);
}

}  // namespace
}  // namespace callgate
