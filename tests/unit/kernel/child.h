// A forked child that is gone with its owner, and pauses until then unless told otherwise.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>

#include "../../slowness.h"
#include "base/fd.h"

namespace callgate {

class Child {
  public:
    // `body` runs in the child, single-threaded: system calls only.
    explicit Child(const std::function<void()>& body = [] { pause(); }) {
        fflush(nullptr);  // or the child might write it again at its end: ThreadSanitizer has it do so
        pid_ = fork();
        if (pid_) return;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        body();
        _exit(0);
    }
    ~Child() { end(); }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    pid_t pid() const { return pid_; }
    void end() {
        if (pid_ <= 0) return;
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }

  private:
    pid_t pid_ = -1;
};

struct Ends {
    Fd read, write;
};
inline Ends make_pipe(int flags = O_CLOEXEC) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, flags), 0);
    return {Fd::adopt(ends[0]), Fd::adopt(ends[1])};
}

// Polls; false where `holds` is still false after two seconds.
inline bool comes_true(const std::function<bool()>& holds) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2 * kSlowness);
    while (!holds()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

}  // namespace callgate
