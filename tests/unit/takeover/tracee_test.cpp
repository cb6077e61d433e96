// Threads that cannot be let go at once: they are let go later, and nobody who waits for them is kept.
#include "takeover/tracee.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

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

auto open_in(pid_t pid) {
    const std::filesystem::directory_iterator all(proc_path(pid, "fd"));
    return std::distance(begin(all), end(all));
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

// Whoever has made a child with CLONE_VFORK sleeps until it executes something or ends, and nothing but death wakes it: here,
// until a byte comes. Then it says something for each.
struct Sleeper {
    Ends release = make_pipe(), said = make_pipe();
    Child child{[this] {
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
    }};
    pid_t pid() const { return child.pid(); }
    bool sleeps() const {
        return comes_true([&] { return is_in_state(pid(), "D (disk sleep)"); });
    }
    void leave_behind() const {
        auto tracee = Tracee::interrupt(pid(), {});
        ASSERT_TRUE(tracee.ok()) << tracee.error().text();
    }
    void expect_it_goes_on() {
        EXPECT_FALSE(Tracee::is_ours(pid()));
        EXPECT_EQ(heard(said.read, 1), "w");
        EXPECT_EQ(write(release.write.get(), "2", 1), 1);
        EXPECT_EQ(heard(said.read, 1), "w");
        EXPECT_EQ(status_value(pid(), "TracerPid"), 0);
    }
};

TEST(Tracee, ThreadThatSleepsGoesOnWhenItWakes) {
    Sleeper sleeper;
    ASSERT_TRUE(sleeper.sleeps());
    sleeper.leave_behind();
    EXPECT_TRUE(Tracee::is_ours(sleeper.pid()));
    EXPECT_TRUE(Tracee::let_go_of_those_left_behind());
    EXPECT_EQ(write(sleeper.release.write.get(), "1", 1), 1);
    EXPECT_TRUE(comes_true([] { return !Tracee::let_go_of_those_left_behind(); }));
    sleeper.expect_it_goes_on();
}

TEST(Tracee, ThreadOfOursThatEndsLeavesThemToTheKernel) {
    Sleeper sleepers[2];
    for (const Sleeper& each : sleepers) ASSERT_TRUE(each.sleeps());
    std::thread([&] {
        for (const Sleeper& each : sleepers) each.leave_behind();
        EXPECT_TRUE(Tracee::let_go_of_those_left_behind());
    }).join();
    for (Sleeper& each : sleepers) {
        EXPECT_EQ(write(each.release.write.get(), "1", 1), 1);
        each.expect_it_goes_on();
    }
}

void prepare(Tracee& tracee) {
    auto status = ProcessStatus::read(tracee.tid());
    ASSERT_TRUE(status && tracee.prepare_calls(*status));
}

// As after an upgrade: another version has left its code where ours is to be.
TEST(Tracee, CodeOfAnotherVersionIsReplaced) {
    Child child([] {
        for (;;) pause();
    });
    for (const int version : {1, 2}) {
        auto tracee = Tracee::stop(child.pid(), {});
        ASSERT_TRUE(tracee.ok());
        prepare(**tracee);
        EXPECT_EQ((*tracee)->call({{"getpid", SYS_getpid}}).value(), child.pid());
        if (version == 2) continue;
        std::ifstream maps(proc_path(child.pid(), "maps"));
        uint64_t end = 0;
        for (std::string line; std::getline(maps, line);)
            if (line.find("[vdso]") != line.npos) end = std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
        ASSERT_NE(end, 0u);
        for (uint64_t at = end - 104; at < end; at += 8)
            ASSERT_EQ(ptrace(PTRACE_POKETEXT, child.pid(), at, 0x9090909090909090), 0);
    }
}

TEST(Tracee, CallsEndAtTheFirstThatFails) {
    Child child([] {
        for (;;) pause();
    });
    auto tracee = Tracee::stop(child.pid(), {});
    ASSERT_TRUE(tracee.ok());
    prepare(**tracee);
    const KernelCall self{"getpid", SYS_getpid}, bad{"close", SYS_close, {999}}, session{"setsid", SYS_setsid};
    EXPECT_EQ((*tracee)->call({self}).value(), child.pid());
    auto failed = (*tracee)->call({self, bad, session});
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, EBADF);
    EXPECT_NE(failed.error().text().find("close"), std::string::npos) << failed.error().text();
    EXPECT_NE(getsid(child.pid()), child.pid());
    EXPECT_EQ((*tracee)->call({session}).value(), child.pid());
}

// Signals are for the process, whatever stops its thread: one that it handles, and one that stops it.
TEST(Tracee, SignalsThatComeInBetweenAreNotLost) {
    static volatile sig_atomic_t handled;
    Ends said = make_pipe();
    Child child([&] {
        for (const int each : {SIGURG, SIGWINCH, SIGCHLD}) signal(each, [](int) { handled = handled + 1; });
        sigset_t all, none;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, nullptr);
        sigemptyset(&none);
        (void)!write(said.write.get(), "r", 1);
        for (sig_atomic_t seen = 0;;) {
            sigsuspend(&none);
            for (; seen < handled; ++seen) (void)!write(said.write.get(), "s", 1);
        }
    });
    ASSERT_EQ(heard(said.read, 1), "r");
    ASSERT_TRUE(comes_true([&] { return blocked_syscall(child.pid(), child.pid()).number == SYS_rt_sigsuspend; }));
    auto tracee = Tracee::stop(child.pid(), {});
    ASSERT_TRUE(tracee.ok());
    prepare(**tracee);
    for (const int each : {SIGURG, SIGWINCH, SIGSTOP}) kill(child.pid(), each);
    EXPECT_EQ((*tracee)->call({{"getpid", SYS_getpid}}).value(), child.pid());
    tracee->reset();
    EXPECT_TRUE(comes_true([&] { return is_in_state(child.pid(), "T (stopped)"); }));
    kill(child.pid(), SIGCONT);
    EXPECT_EQ(heard(said.read, 2), "ss");
}

// A handler that is due when the thread goes on interrupts the call that it was in, as it would have without us. Without one
// the call goes on.
TEST(Tracee, CallIsInterruptedByWhatComesInBetween) {
    for (const long number : {SYS_read, SYS_epoll_wait}) {
        for (const bool makes_calls : {false, true}) {
            SCOPED_TRACE(std::to_string(number) + (makes_calls ? ", calls" : ""));
            Ends said = make_pipe(), input = make_pipe();
            Child child([&] {
                struct sigaction action {};
                action.sa_handler = [](int) {};
                sigaction(SIGTERM, &action, nullptr);
                const int epoll = epoll_create1(0);
                epoll_event event{};
                event.events = EPOLLIN;
                epoll_ctl(epoll, EPOLL_CTL_ADD, input.read.get(), &event);
                char byte;
                const long got = number == SYS_read ? read(input.read.get(), &byte, 1) : epoll_wait(epoll, &event, 1, -1);
                (void)!write(said.write.get(), got < 0 && errno == EINTR ? "i" : "?", 1);
                pause();
            });
            const auto waits = [&] { return blocked_syscall(child.pid(), child.pid()).number == number; };
            for (const bool is_signalled : {false, true}) {
                ASSERT_TRUE(comes_true(waits));
                auto tracee = Tracee::stop(child.pid(), {});
                ASSERT_TRUE(tracee.ok());
                if (makes_calls) {
                    prepare(**tracee);
                    EXPECT_EQ((*tracee)->call({{"getpid", SYS_getpid}}).value(), child.pid());
                }
                if (is_signalled) kill(child.pid(), SIGTERM);
            }
            EXPECT_EQ(heard(said.read, 1), "i");
        }
    }
}

// The process that traces it is killed in the middle of a call: the thread goes on with the registers and the
// mask that it had.
class KilledTracer : public ::testing::TestWithParam<const char*> {
  protected:
    static constexpr uint64_t kMask = uint64_t{1} << (SIGUSR1 - 1);

    // Stops the thread, has it make two calls, and is killed at the step.
    void trace_until_the_end(pid_t tid) {
        char path[] = "/tmp/callgate-fault-XXXXXX";
        const Fd file = Fd::adopt(mkstemp(path));
        ASSERT_EQ(write(file.get(), GetParam(), strlen(GetParam())), static_cast<ssize_t>(strlen(GetParam())));
        const pid_t tracer = fork();
        if (!tracer) {
            setenv("CALLGATE_FAULT_FILE", path, 1);
            auto tracee = Tracee::stop(tid, {});
            auto status = ProcessStatus::read(tid);
            if (!tracee || !status || !(*tracee)->prepare_calls(*status)) _exit(1);
            (*tracee)->close_if_killed(4);
            const uint64_t place = (*tracee)->scratch();
            if (!(*tracee)->call({{"pipe2", SYS_pipe2, {place, O_CLOEXEC}}, {"pipe2", SYS_pipe2, {place + 8, O_CLOEXEC}}}))
                _exit(2);
            // Nobody closes them where it is let go.
            (*tracee)->close_if_killed(0);
            int numbers[4];
            if (!(*tracee)->read(place, numbers, sizeof(numbers))) _exit(4);
            // More than fit in at once.
            std::vector<KernelCall> calls(2 * Tracee::calls_at_once(), {"getpid", SYS_getpid});
            for (const int each : numbers) calls.push_back({"close", SYS_close, {static_cast<uint64_t>(each)}});
            if (!(*tracee)->call(calls)) _exit(5);
            tracee->reset();
            _exit(3);
        }
        int status = 0;
        ASSERT_EQ(waitpid(tracer, &status, 0), tracer);
        unlink(path);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
    }
    static uint64_t mask_of(pid_t pid) {
        auto text = read_small_file(proc_path(pid, "status"), 4096);
        const size_t at = text ? text->find("SigBlk:") : std::string::npos;
        return at == std::string::npos ? 0 : strtoull(text->c_str() + at + strlen("SigBlk:"), nullptr, 16);
    }
    static void block_one() {
        sigset_t one;
        sigemptyset(&one);
        sigaddset(&one, SIGUSR1);
        sigprocmask(SIG_BLOCK, &one, nullptr);
    }
};
INSTANTIATE_TEST_SUITE_P(Steps, KilledTracer,
                         ::testing::Values("calls set", "calls set 4", "calls begun", "calls begun 4", "calls made",
                                           "calls made 4", "calls prepared", "frame written", "mask blocked", "mask set",
                                           "registers set"),
                         [](const auto& each) {
                             std::string name = each.param;
                             std::erase_if(name, [](char c) { return c == ' '; });
                             return name;
                         });

TEST_P(KilledTracer, ThreadInACallGoesOn) {
    Ends in = make_pipe(), out = make_pipe();
    Child child([&] {
        block_one();
        char byte;
        while (read(in.read.get(), &byte, 1) == 1) (void)!write(out.write.get(), &byte, 1);
    });
    ASSERT_TRUE(comes_true([&] { return blocked_syscall(child.pid(), child.pid()).number == SYS_read; }));
    const auto open_before = open_in(child.pid());
    trace_until_the_end(child.pid());
    EXPECT_TRUE(comes_true([&] { return open_in(child.pid()) == open_before; }));
    EXPECT_TRUE(comes_true([&] { return mask_of(child.pid()) == kMask; })) << std::hex << mask_of(child.pid());
    for (const char* byte : {"a", "b"}) {
        EXPECT_EQ(write(in.write.get(), byte, 1), 1);
        EXPECT_EQ(heard(out.read, 1), byte);
    }
}

// Whoever stops it while it is still at the calls that it was to make waits until it has left them.
TEST(Tracee, ThreadThatIsStillAtTheCallsOfAKilledTracer) {
    Ends in = make_pipe(), out = make_pipe();
    Child child([&] {
        char byte;
        while (read(in.read.get(), &byte, 1) == 1) (void)!write(out.write.get(), &byte, 1);
    });
    ASSERT_TRUE(comes_true([&] { return blocked_syscall(child.pid(), child.pid()).number == SYS_read; }));
    const pid_t tracer = fork();
    if (!tracer) {
        auto tracee = Tracee::stop(child.pid(), {});
        if (!tracee) _exit(1);
        prepare(**tracee);
        KernelCall sleep{"nanosleep", SYS_nanosleep, {0, 0}, {0, 300'000'000}, 0};
        const pid_t self = getpid();
        std::thread([self] {
            usleep(50'000);
            kill(self, SIGKILL);
        }).detach();
        (void)(*tracee)->call({sleep, {"getpid", SYS_getpid}});
        _exit(2);
    }
    int status = 0;
    ASSERT_EQ(waitpid(tracer, &status, 0), tracer);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    auto tracee = Tracee::stop(child.pid(), {});
    ASSERT_TRUE(tracee.ok());
    prepare(**tracee);
    const auto open_before = open_in(child.pid());
    EXPECT_TRUE((*tracee)->call({{"dup", SYS_dup, {static_cast<uint64_t>(in.read.get())}}}).ok());
    tracee->reset();
    EXPECT_EQ(write(in.write.get(), "a", 1), 1);
    EXPECT_EQ(heard(out.read, 1), "a");
    EXPECT_EQ(open_in(child.pid()), open_before + 1);
}

// In the middle of code of its own, which has something in every register.
TEST_P(KilledTracer, ThreadThatRunsGoesOn) {
    Ends said = make_pipe();
    Child child([&] {
        block_one();
        for (uint64_t turn = 0;; ++turn) {
            uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;
            double x = 1;
            for (int i = 0; i < 100000; ++i) {
                a += b ^ c, b += c ^ d, c += d ^ e, d += e ^ f, e += f ^ g, f += g ^ h, g += h ^ a, h += a ^ b;
                x = x * 1.0000001 + static_cast<double>(h & 1);
            }
            static uint64_t first = 0;
            uint64_t bits;
            memcpy(&bits, &x, sizeof(bits));
            const uint64_t all = a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ bits;
            if (turn == 0) first = all;
            (void)!write(said.write.get(), all == first ? "." : "x", 1);
        }
    });
    ASSERT_EQ(heard(said.read, 1), ".");
    const auto open_before = open_in(child.pid());
    trace_until_the_end(child.pid());
    EXPECT_TRUE(comes_true([&] { return open_in(child.pid()) == open_before; }));
    EXPECT_TRUE(comes_true([&] { return mask_of(child.pid()) == kMask; })) << std::hex << mask_of(child.pid());
    const std::string after = heard(said.read, 20);
    EXPECT_EQ(after.find('x'), std::string::npos);
    EXPECT_EQ(after.size(), 20u);
}

}  // namespace
}  // namespace callgate
