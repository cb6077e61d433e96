#include "kernel/confinement.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <netdb.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "child.h"

namespace callgate {
namespace {

// In a thread that is confined, and gone when this returns.
void confined(const std::function<void()>& body) {
    std::thread([&] {
        const Status done = confine_this_thread();
        ASSERT_TRUE(done) << done.error().text();
        body();
    }).join();
}

// How a child ends that makes the call when it is confined: the signal, or 0 where the call returned.
int signal_of(const std::function<void()>& call) {
    const pid_t child = fork();
    if (child == 0) {
        rlimit none{0, 0};
        setrlimit(RLIMIT_CORE, &none);
        if (!confine_this_thread()) _exit(1);
        call();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

// The error of a system call, 0 where there is none.
template <typename... Arguments>
int error_of(long number, Arguments... arguments) {
    return syscall(number, arguments...) < 0 ? errno : 0;
}

TEST(Confinement, HoldsTheThreadAndThoseItStarts) {
    std::thread([] {}).join();  // from the first thread on ThreadSanitizer has one of its own
    const ConfinedThreads before = confined_threads();
    EXPECT_EQ(before.confined, 0u);
    EXPECT_GE(before.free, 1u);
    ConfinedThreads during;
    confined([&] { std::thread([&] { during = confined_threads(); }).join(); });
    EXPECT_EQ(during.confined, 2u);
    EXPECT_EQ(during.free, before.free);
}

TEST(Confinement, WhatIsNotListedIsUnknown) {
    confined([] {
        EXPECT_EQ(error_of(SYS_acct, nullptr), ENOSYS);
        EXPECT_EQ(error_of(SYS_chown, "/nowhere", 0, 0), ENOSYS);
        EXPECT_EQ(error_of(SYS_io_uring_setup, 8, nullptr), ENOSYS);
        EXPECT_EQ(error_of(SYS_socket, AF_PACKET, SOCK_RAW, 0), ENOSYS);
        EXPECT_EQ(error_of(SYS_kill, getpid(), SIGKILL), ENOSYS);
        EXPECT_EQ(error_of(SYS_bpf, BPF_MAP_CREATE, nullptr, 0), ENOSYS);
    });
}

TEST(Confinement, NothingIsWrittenAndThenRun) {
    confined([] {
        constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS;
        EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, kFlags, -1, 0), MAP_FAILED);
        void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, kFlags, -1, 0);
        ASSERT_NE(memory, MAP_FAILED);
        EXPECT_NE(mprotect(memory, 4096, PROT_READ | PROT_EXEC), 0);
        EXPECT_EQ(mprotect(memory, 4096, PROT_READ), 0);
        munmap(memory, 4096);
    });
}

TEST(Confinement, WhoDoesWhatOnlyAnIntruderWouldIsKilled) {
    EXPECT_EQ(signal_of([] { execl("/bin/true", "true", nullptr); }), SIGSYS);
    EXPECT_EQ(signal_of([] { process_vm_writev(getppid(), nullptr, 0, nullptr, 0, 0); }), SIGSYS);
    EXPECT_EQ(signal_of([] { syscall(SYS_bpf, BPF_PROG_LOAD, nullptr, 0); }), SIGSYS);
    EXPECT_EQ(signal_of([] { syscall(SYS_finit_module, -1, "", 0); }), SIGSYS);
    EXPECT_EQ(signal_of([] { syscall(SYS_mount, "", "", "", 0, nullptr); }), SIGSYS);
    EXPECT_EQ(signal_of([] { syscall(SYS_setns, -1, 0); }), SIGSYS);
    EXPECT_EQ(signal_of([] { syscall(SYS_unshare, 0); }), SIGSYS);
}

#ifndef __SANITIZE_ADDRESS__  // whose leak check traces, from a process that it makes
TEST(Confinement, ProcessesAreNotMade) {
    confined([] { EXPECT_EQ(fork(), -1); });
}

TEST(Confinement, WhoTracesIsKilled) {
    EXPECT_EQ(signal_of([] { ptrace(PTRACE_SEIZE, getppid(), nullptr, nullptr); }), SIGSYS);
}
#endif

TEST(Confinement, AgentsOwnWorkGoesOn) {
    EXPECT_EQ(signal_of([] {}), 0);
    EXPECT_EQ(signal_of([] { abort(); }), SIGABRT);
    confined([] {
        EXPECT_EQ(kill(getpid(), 0), 0);
        const Fd file = Fd::adopt(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
        // A library, as it is loaded.
        void* code = mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file.get(), 0);
        EXPECT_NE(code, MAP_FAILED);
        munmap(code, 4096);
        addrinfo* found = nullptr;
        EXPECT_EQ(getaddrinfo("localhost", "80", nullptr, &found), 0);
        if (found) freeaddrinfo(found);
        EXPECT_EQ(error_of(SYS_bpf, BPF_MAP_LOOKUP_ELEM, nullptr, 0), EINVAL);
    });
}

// Why there are threads without a filter: one that is confined does not keep them from it.
TEST(Confinement, FreeThreadSuspendsTheFilterOfAnotherProcess) {
    const Ends ready = make_pipe();
    Child child([&] {
        (void)confine_this_thread();
        (void)!write(ready.write.get(), "x", 1);
        for (;;) pause();
    });
    char byte = 0;
    ASSERT_EQ(read(ready.read.get(), &byte, 1), 1);
    const Ends end = make_pipe();
    std::thread other([&] {
        (void)confine_this_thread();
        (void)!write(ready.write.get(), "x", 1);
        char last = 0;
        (void)!read(end.read.get(), &last, 1);
    });
    EXPECT_EQ(read(ready.read.get(), &byte, 1), 1);
    EXPECT_EQ(confined_threads().confined, 1u);
    constexpr long kSuspend = PTRACE_O_SUSPEND_SECCOMP;
    EXPECT_EQ(ptrace(PTRACE_SEIZE, child.pid(), nullptr, kSuspend), 0) << errno;
    (void)!write(end.write.get(), "x", 1);
    other.join();
}

}  // namespace
}  // namespace callgate
