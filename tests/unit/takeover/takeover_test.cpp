// Real children, really taken over: what they have afterwards is what they had (I4), and bytes go through us.
#include "takeover/takeover.h"

#include <gmock/gmock.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <atomic>
#include <thread>

#include "../kernel/child.h"

namespace callgate {
namespace {

enum class Wiring { pipes, sockets };

// An echo server: blocking read and write, or non-blocking with epoll.
void echo(Wiring wiring) {
    char buffer[4096];
    int epoll = -1;
    if (wiring == Wiring::sockets) {
        fcntl(0, F_SETFL, O_RDWR | O_NONBLOCK);
        epoll = epoll_create1(EPOLL_CLOEXEC);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = 0x1234567890;
        epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event);
    }
    for (;;) {
        if (epoll >= 0) {
            epoll_event event{};
            if (epoll_wait(epoll, &event, 1, -1) != 1 || event.data.u64 != 0x1234567890) _exit(2);
        }
        ssize_t got = read(0, buffer, sizeof(buffer));
        if (got < 0 && errno == EAGAIN) continue;
        if (got <= 0) _exit(got ? 3 : 0);
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(1, buffer + done, got - done);
            if (put <= 0) _exit(4);
            done += put;
        }
    }
}

Ends make_ends(Wiring wiring) {
    if (wiring == Wiring::pipes) return make_pipe();
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    return {Fd::adopt(pair[0]), Fd::adopt(pair[1])};
}

// Exactly `bytes` bytes, or what has come after two seconds.
std::string get(const Fd& fd, size_t bytes) {
    std::string text;
    fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
    comes_true([&] {
        char buffer[256];
        ssize_t got = read(fd.get(), buffer, std::min(sizeof(buffer), bytes - text.size()));
        if (got > 0) text.append(buffer, got);
        return text.size() == bytes || got == 0;
    });
    return text;
}
void put(const Fd& fd, std::string_view text) {
    EXPECT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}
size_t count_of(pid_t pid) {
    size_t count = 0;
    for (int fd = 0; fd < 256; ++fd) {
        struct stat status;
        count += !lstat((proc_path(pid, "fd/") + std::to_string(fd)).c_str(), &status);
    }
    return count;
}

class TakeoverTest : public ::testing::TestWithParam<Wiring> {
  protected:
    void SetUp() override {
        in_ = make_ends(GetParam());
        out_ = make_ends(GetParam());
        Wiring wiring = GetParam();
        child_ = std::make_unique<Child>([&] {
            dup2(in_.read.get(), 0);
            dup2(out_.write.get(), 1);
            in_ = {};
            out_ = {};
            dup2(open("/dev/null", O_WRONLY), 2);  // the test's own standard error may be a pipe as well
            for (int fd = 3; fd < 256; ++fd) close(fd);
            echo(wiring);
        });
        in_.read.reset();
        out_.write.reset();
        put(in_.write, "hi");
        ASSERT_EQ(get(out_.read, 2), "hi");
    }
    pid_t pid() const { return child_->pid(); }
    // It waits for more.
    void settle() {
        long number = GetParam() == Wiring::pipes ? SYS_read : SYS_epoll_wait;
        ASSERT_TRUE(comes_true([&] { return blocked_syscall(pid(), pid()).number == number; }));
    }
    Result<TakenEnds> take() {
        StoppedThread thread;
        auto tracee = Tracee::stop(pid(), {});
        if (!tracee) return explain_refusal(pid(), tracee.error());
        thread.tracee = std::move(*tracee);
        return take_over({pid(), channel_of(pid(), 0).channel, channel_of(pid(), 1).channel}, thread, {});
    }
    Status give_back(const TakenEnds& ends) {
        HandBack back{ends.new_input, ends.new_output, ends.from_client.get(), ends.to_client.get(), ends.from_server.get()};
        return hand_back(pid(), back, {});
    }
    Ends in_, out_;
    std::unique_ptr<Child> child_;
};
INSTANTIATE_TEST_SUITE_P(Wirings, TakeoverTest, ::testing::Values(Wiring::pipes, Wiring::sockets),
                         [](const auto& each) { return each.param == Wiring::pipes ? "Pipes" : "SocketsWithEpoll"; });

// The server is held for no longer, however the reader goes about it.
TEST_P(TakeoverTest, AClientThatReadsLittleByLittleIsNotWaitedFor) {
    settle();
    auto taken = take();
    ASSERT_TRUE(taken.ok()) << taken.error().text();
    const std::string much(4096, 'x');
    fcntl(taken->to_client.get(), F_SETFL, O_WRONLY | O_NONBLOCK);
    while (write(taken->to_client.get(), much.data(), much.size()) > 0) {
    }
    // As much again, through the server.
    for (int i = 0; i < 12; ++i) put(taken->to_server, much);
    ASSERT_TRUE(comes_true([&] {
        int waiting = 0;
        return !ioctl(taken->from_server.get(), FIONREAD, &waiting) && static_cast<size_t>(waiting) == 12 * much.size();
    }));
    settle();
    std::atomic<bool> over{false};
    std::thread reader([&] {
        char page[4096];
        while (!over) {
            (void)!read(out_.read.get(), page, sizeof(page));
            for (int i = 0; i < 50 && !over; ++i) usleep(10'000);
        }
    });
    const auto begin = std::chrono::steady_clock::now();
    Status given = give_back(*taken);
    const auto took = std::chrono::steady_clock::now() - begin;
    over = true;
    reader.join();
    ASSERT_FALSE(given.ok());
    EXPECT_EQ(given.error().kind, ErrorKind::limit);
    EXPECT_LT(took, std::chrono::milliseconds(3500 * kSlowness));
}

TEST_P(TakeoverTest, BytesGoThroughUsAndBack) {
    settle();
    auto before = all_channels(pid());
    auto watched = find_descriptors(pid(), before[0].channel, {});
    ASSERT_TRUE(watched.ok());
    size_t count = count_of(pid()), own = count_of(getpid());
    {
        auto taken = take();
        ASSERT_TRUE(taken.ok()) << taken.error().text();
        EXPECT_EQ(count_of(pid()), count);
        auto after = all_channels(pid());
        ASSERT_EQ(after.size(), before.size());
        for (size_t i = 0; i < after.size(); ++i) {
            EXPECT_EQ(after[i].number, before[i].number);
            EXPECT_EQ(after[i].kind, before[i].kind);
            EXPECT_EQ(after[i].status_flags, before[i].status_flags);
            EXPECT_FALSE(after[i].channel == before[i].channel);
        }
        auto moved = find_descriptors(pid(), taken->new_input, taken->new_output);
        ASSERT_TRUE(moved.ok());
        ASSERT_EQ(moved->registrations.size(), watched->registrations.size());
        for (size_t i = 0; i < moved->registrations.size(); ++i) {
            EXPECT_EQ(moved->registrations[i].events, watched->registrations[i].events);
            EXPECT_EQ(moved->registrations[i].data, watched->registrations[i].data);
        }
        put(in_.write, "ask");
        EXPECT_EQ(get(taken->from_client, 3), "ask");
        put(taken->to_server, "through");
        EXPECT_EQ(get(taken->from_server, 7), "through");
        put(taken->to_client, "answer");
        EXPECT_EQ(get(out_.read, 6), "answer");

        // Nobody has read this yet: it reaches the client before anything that comes later.
        put(taken->to_server, "last");
        ASSERT_TRUE(comes_true([&] {
            int waiting = 0;
            return !ioctl(taken->from_server.get(), FIONREAD, &waiting) && waiting == 4;
        }));
        settle();
        Status given = give_back(*taken);
        ASSERT_TRUE(given.ok()) << given.error().text();
        EXPECT_EQ(get(out_.read, 4), "last");
    }
    auto restored = all_channels(pid());
    ASSERT_EQ(restored.size(), before.size());
    for (size_t i = 0; i < restored.size(); ++i) {
        EXPECT_TRUE(restored[i].channel == before[i].channel);
        EXPECT_EQ(restored[i].status_flags, before[i].status_flags);
    }
    EXPECT_EQ(count_of(pid()), count);
    EXPECT_EQ(count_of(getpid()), own);
    put(in_.write, "again");
    EXPECT_EQ(get(out_.read, 5), "again");
    EXPECT_EQ(status_value(pid(), "TracerPid"), 0);
    in_.write.reset();
    siginfo_t over{};
    EXPECT_TRUE(comes_true([&] { return !waitid(P_PID, pid(), &over, WEXITED | WNOHANG | WNOWAIT) && over.si_pid == pid(); }));
    EXPECT_EQ(over.si_status, 0);
}

TEST_P(TakeoverTest, ManyTimesOver) {
    size_t count = count_of(pid()), own = count_of(getpid());
    for (int i = 0; i < 20; ++i) {
        auto taken = take();
        ASSERT_TRUE(taken.ok()) << taken.error().text();
        put(taken->to_server, "x");
        EXPECT_EQ(get(taken->from_server, 1), "x");
        ASSERT_TRUE(give_back(*taken).ok());
    }
    EXPECT_EQ(count_of(pid()), count);
    EXPECT_EQ(count_of(getpid()), own);
}

TEST_P(TakeoverTest, EndOfFileAfterwards) {
    auto taken = take();
    ASSERT_TRUE(taken.ok()) << taken.error().text();
    taken->to_server.reset();
    EXPECT_EQ(get(taken->from_server, 1), "");
}

TEST_P(TakeoverTest, TracedByAnotherProcessIsRefused) {
    Ends ready = make_pipe();
    pid_t target = pid();
    Child tracer([&] {
        if (ptrace(PTRACE_SEIZE, target, nullptr, nullptr)) _exit(1);
        (void)!write(ready.write.get(), "r", 1);
        pause();
    });
    ASSERT_EQ(get(ready.read, 1), "r");
    auto taken = take();
    ASSERT_FALSE(taken.ok());
    EXPECT_THAT(taken.error().text(), ::testing::HasSubstr("is traced by process " + std::to_string(tracer.pid())));
    EXPECT_FALSE(Tracee::is_ours(pid()));
}

TEST_P(TakeoverTest, OtherChannelsAreRefused) {
    StoppedThread thread;
    auto tracee = Tracee::stop(pid(), {});
    ASSERT_TRUE(tracee.ok());
    thread.tracee = std::move(*tracee);
    auto taken = take_over({pid(), {1, 1, 0}, channel_of(pid(), 1).channel}, thread, {});
    ASSERT_FALSE(taken.ok());
    EXPECT_THAT(taken.error().text(), ::testing::HasSubstr("closed its input"));
    thread = {};
    put(in_.write, "ok");
    EXPECT_EQ(get(out_.read, 2), "ok");
}

// Whether it had stopped already or not: nothing of it shows.
TEST_P(TakeoverTest, StopThatNothingCameOf) {
    for (int i = 0; i < 20; ++i) {
        settle();
        {
            auto tracee = Tracee::stop(pid(), {});
            EXPECT_TRUE(tracee.ok());
        }
        settle();
        {
            auto tracee = Tracee::interrupt(pid(), {});
            EXPECT_TRUE(tracee.ok());
        }
        put(in_.write, "x");
        EXPECT_EQ(get(out_.read, 1), "x");
    }
}

TEST(Takeover, ProcessThatIsGone) {
    Child child;
    pid_t pid = child.pid();
    child.end();
    EXPECT_FALSE(Tracee::stop(pid, {}).ok());
}

// Messages that recvmmsg(2) has returned to this thread, as far as its own memory says so.
class ManyMessages : public ::testing::Test {
  protected:
    static constexpr size_t kCount = IOV_MAX, kBytesMax = size_t{16} << 20;
    cg_hold hold(std::string& text, uint32_t length, uint32_t flags = 0) {
        for (size_t i = 0; i < kCount; ++i) {
            vectors_[i] = {text.data(), length};
            messages_[i].msg_hdr.msg_iov = &vectors_[i];
            messages_[i].msg_hdr.msg_iovlen = 1;
            messages_[i].msg_len = length;
        }
        cg_hold hold{};
        hold.tid = gettid();
        hold.syscall = SYS_recvmmsg;
        hold.buffer = reinterpret_cast<uintptr_t>(messages_.data());
        hold.length = hold.result = kCount;
        hold.flags = flags;
        return hold;
    }
    std::vector<iovec> vectors_ = std::vector<iovec>(kCount);
    std::vector<mmsghdr> messages_ = std::vector<mmsghdr>(kCount);
};

TEST_F(ManyMessages, WithinTheBound) {
    std::string text(kBytesMax / kCount, 'x');
    auto bytes = peek_read(hold(text, text.size()));
    ASSERT_TRUE(bytes.ok()) << bytes.error().text();
    EXPECT_EQ(*bytes, std::string(kBytesMax, 'x'));
}

// Their lengths are in the memory of the process, whose other threads write there what they like.
TEST_F(ManyMessages, LengthsThatNobodyHasRead) {
    std::string text = "{}";
    const cg_hold lies = hold(text, UINT32_MAX);
    auto bytes = peek_read(lies);
    ASSERT_FALSE(bytes.ok());
    EXPECT_EQ(bytes.error().kind, ErrorKind::refused);
    auto beginning = peek_read(lies, text.size());
    ASSERT_TRUE(beginning.ok()) << beginning.error().text();
    EXPECT_EQ(*beginning, text);
}

TEST_F(ManyMessages, TheSameBytesOverAndOverByPeeking) {
    std::string text(2 * kBytesMax / kCount, 'x');
    auto bytes = peek_read(hold(text, text.size(), MSG_PEEK));
    ASSERT_FALSE(bytes.ok());
    EXPECT_EQ(bytes.error().kind, ErrorKind::refused);
}

}  // namespace
}  // namespace callgate
