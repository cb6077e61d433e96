#include "restart/keeper_store.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>

#include "restart/carrier.h"

namespace callgate {
namespace {

// The agent's side in a process of its own, as it is: `say` runs there.
pid_t in_child(const KeeperStore& store, const std::function<void()>& say) {
    const pid_t child = fork();
    if (child == 0) {
        setenv("NOTIFY_SOCKET", store.address().c_str(), 1);
        setenv(kKeeperVariable, "1", 1);
        say();
        _exit(0);
    }
    return child;
}

int end_of(KeeperStore& store, pid_t child) {
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        pollfd waiting{store.socket(), POLLIN, 0};
        poll(&waiting, 1, 10);
        store.receive(child);
    }
    store.receive(child);
    return status;
}

TEST(KeeperStore, KeepsForgetsAndAnswersABarrier) {
    auto created = KeeperStore::create();
    ASSERT_TRUE(created.ok()) << created.error().text();
    KeeperStore store = std::move(created).value();
    const auto keep = [] {
        const Carrier carrier = Carrier::from_environment();
        if (carrier.kind() != Carrier::Kind::keeper || !carrier.keep(Fd::adopt(dup(0)))) _exit(1);
    };
    EXPECT_EQ(end_of(store, in_child(store, keep)), 0);
    ASSERT_EQ(store.entries().size(), 1u);
    EXPECT_EQ(store.entries()[0].name, kStoreName);
    EXPECT_EQ(end_of(store, in_child(store, [] { Carrier::from_environment().forget(); })), 0);
    EXPECT_TRUE(store.entries().empty());
}

TEST(KeeperStore, OthersAreNotHeard) {
    KeeperStore store = std::move(KeeperStore::create()).value();
    const pid_t stranger = in_child(store, [] {
        const int fd = 0;
        sd_pid_notify_with_fds(0, 0, "FDSTORE=1", &fd, 1);
    });
    int status = 0;
    waitpid(stranger, &status, 0);
    store.receive(getpid());
    EXPECT_TRUE(store.entries().empty());
}

TEST(KeeperStore, IsBounded) {
    KeeperStore store = std::move(KeeperStore::create()).value();
    const pid_t child = in_child(store, [] {
        const int fd = 0;
        for (int i = 0; i < 40; ++i) sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=x", &fd, 1);
    });
    end_of(store, child);
    EXPECT_EQ(store.entries().size(), KeeperStore::kEntriesMax);
}

TEST(Carrier, WithoutAKeeperNothingIsKept) {
    unsetenv("NOTIFY_SOCKET");
    Carrier carrier = Carrier::from_environment();
    EXPECT_EQ(carrier.kind(), Carrier::Kind::none);
    EXPECT_FALSE(carrier.take().valid());
    EXPECT_FALSE(carrier.keep(Fd::adopt(dup(0))).ok());
}

}  // namespace
}  // namespace callgate
