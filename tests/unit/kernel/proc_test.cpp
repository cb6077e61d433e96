#include "kernel/proc.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>

#include "child.h"

namespace callgate {
namespace {

TEST(Proc, ChannelOfPipesAndSockets) {
    Ends pipe = make_pipe();
    ProcessDescriptor reading = channel_of(getpid(), pipe.read.get()), writing = channel_of(getpid(), pipe.write.get());
    EXPECT_EQ(reading.kind, ChannelKind::pipe);
    EXPECT_TRUE(reading.channel == writing.channel);
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    Fd first = Fd::adopt(pair[0]), second = Fd::adopt(pair[1]);
    EXPECT_EQ(channel_of(getpid(), first.get()).kind, ChannelKind::unix_socket);
    EXPECT_FALSE(channel_of(getpid(), first.get()).channel == channel_of(getpid(), second.get()).channel);
    Fd null = Fd::adopt(open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(channel_of(getpid(), null.get()).kind, ChannelKind::none);
    EXPECT_EQ(channel_of(getpid(), 1'000'000).kind, ChannelKind::none);
}

TEST(Proc, FindsEveryDescriptorOfAChannel) {
    Ends pipe = make_pipe(O_CLOEXEC | O_NONBLOCK), other = make_pipe();
    Fd copy = Fd::adopt(dup(pipe.read.get()));
    auto found = find_descriptors(getpid(), channel_of(getpid(), pipe.read.get()).channel, {});
    ASSERT_TRUE(found.ok());
    ASSERT_EQ(found->channels.size(), 3u);
    for (const ProcessDescriptor& each : found->channels) {
        EXPECT_TRUE(each.status_flags & O_NONBLOCK);
        EXPECT_EQ(!!(each.status_flags & O_CLOEXEC), each.number != copy.get());
        EXPECT_EQ(each.status_flags & O_ACCMODE, each.number == pipe.write.get() ? O_WRONLY : O_RDONLY);
    }
    EXPECT_TRUE(found->registrations.empty());
    EXPECT_FALSE(find_descriptors(1 << 30, {}, {}).ok());
}

TEST(Proc, FindsEpollRegistrations) {
    Ends pipe = make_pipe(), other = make_pipe();
    Fd epoll = Fd::adopt(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = 0xfedcba9876543210;
    ASSERT_EQ(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, pipe.read.get(), &event), 0);
    ASSERT_EQ(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, other.read.get(), &event), 0);
    auto found = find_descriptors(getpid(), channel_of(getpid(), pipe.read.get()).channel, {});
    ASSERT_TRUE(found.ok());
    ASSERT_EQ(found->registrations.size(), 1u);
    EXPECT_EQ(found->registrations[0].epoll, epoll.get());
    EXPECT_EQ(found->registrations[0].target, pipe.read.get());
    EXPECT_EQ(found->registrations[0].data, event.data.u64);
    EXPECT_EQ(found->registrations[0].events & (EPOLLIN | EPOLLET), uint32_t(EPOLLIN | EPOLLET));
}

TEST(Proc, BlockedSyscallOfASleepingChild) {
    Ends pipe = make_pipe();
    Child child([&] {
        char byte;
        (void)!read(pipe.read.get(), &byte, 1);
    });
    EXPECT_TRUE(comes_true([&] { return blocked_syscall(child.pid(), child.pid()).number == SYS_read; }));
    EXPECT_EQ(blocked_syscall(child.pid(), child.pid()).arguments[0], uint64_t(pipe.read.get()));
    EXPECT_EQ(blocked_syscall(child.pid(), child.pid()).arguments[2], 1u);
    EXPECT_EQ(blocked_syscall(1 << 30, 1 << 30).number, -1);
}

TEST(Proc, ThreadsParentsAndProcesses) {
    Child child;
    EXPECT_EQ(threads_of(child.pid()), std::vector<pid_t>{child.pid()});
    EXPECT_EQ(parent_of(child.pid()), getpid());
    EXPECT_EQ(children_of(getpid()), std::vector<pid_t>{child.pid()});
    EXPECT_TRUE(children_of(child.pid()).empty());
    auto all = all_processes();
    EXPECT_NE(std::find(all.begin(), all.end(), child.pid()), all.end());
    std::atomic<pid_t> tid{0};
    std::atomic<bool> over{false};
    std::thread thread([&] {
        tid = gettid();
        while (!over) std::this_thread::yield();
    });
    EXPECT_TRUE(comes_true([&] { return tid != 0; }));
    auto threads = threads_of(getpid());
    over = true;
    thread.join();
    EXPECT_NE(std::find(threads.begin(), threads.end(), tid), threads.end());
    EXPECT_EQ(status_value(getpid(), "TracerPid"), status_value(getpid(), "NoSuchField"));
}

TEST(Proc, FetchesADescriptorOfAChild) {
    Ends pipe = make_pipe();
    Child child;
    auto pidfd = open_pidfd(child.pid());
    ASSERT_TRUE(pidfd.ok());
    auto fetched = fetch_descriptor(*pidfd, pipe.write.get());
    ASSERT_TRUE(fetched.ok());
    EXPECT_EQ(write(fetched->get(), "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(read(pipe.read.get(), &byte, 1), 1);
    EXPECT_EQ(fetch_descriptor(*pidfd, 1'000'000).error().code, EBADF);
    child.end();
    EXPECT_FALSE(fetch_descriptor(*pidfd, pipe.write.get()).ok());
}

}  // namespace
}  // namespace callgate
