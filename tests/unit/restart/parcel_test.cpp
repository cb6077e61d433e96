#include "restart/parcel.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/pipe.h"

namespace callgate {
namespace {

TEST(Parcel, BundlesComeOutInOrderOnce) {
    Pipe first, second;
    std::vector<Bundle> bundles;
    bundles.push_back({"agent", {}});
    bundles.emplace_back().label = "session";
    bundles.back().fds.push_back(std::move(first.writing));
    bundles.back().fds.push_back(std::move(second.writing));
    auto parcel = pack(bundles);
    ASSERT_TRUE(parcel.ok()) << parcel.error().text();
    bundles.clear();
    auto out = unpack(parcel.value());
    ASSERT_TRUE(out.ok()) << out.error().text();
    ASSERT_EQ(out.value().size(), 2u);
    EXPECT_EQ(out.value()[0].label, "agent");
    ASSERT_EQ(out.value()[1].fds.size(), 2u);
    ASSERT_EQ(write(out.value()[1].fds[1].get(), "x", 1), 1);
    char got = 0;
    EXPECT_EQ(read(second.reading.get(), &got, 1), 1);
    EXPECT_TRUE(unpack(parcel.value()).value().empty());
}

// A store that has a duplicate of the parcel still must not keep a channel from ending.
TEST(Parcel, WhatWasTakenOutIsHeldByNobodyElse) {
    Pipe channel;
    std::vector<Bundle> bundles;
    bundles.emplace_back().label = "session";
    bundles.back().fds.push_back(std::move(channel.writing));
    auto parcel = pack(bundles);
    ASSERT_TRUE(parcel.ok());
    const Fd duplicate = Fd::adopt(dup(parcel.value().get()));
    bundles.clear();
    pollfd poll{channel.reading.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&poll, 1, 0), 0);  // kept
    (void)unpack(parcel.value());
    EXPECT_EQ(::poll(&poll, 1, 0), 1);
    EXPECT_TRUE(poll.revents & POLLHUP);
}

TEST(Parcel, ThousandsOfBundles) {
    std::vector<Bundle> bundles;
    for (int i = 0; i < 4000; ++i) {
        bundles.emplace_back().label = "session";
        for (int n = 0; n < 5; ++n) bundles.back().fds.push_back(Fd::adopt(dup(0)));
        ASSERT_TRUE(bundles.back().fds.back()) << "needs 800 descriptors: raise RLIMIT_NOFILE";
        if (i == 150) break;
    }
    for (size_t i = bundles.size(); i < 4000; ++i) bundles.emplace_back().label = "agent";
    auto parcel = pack(bundles);
    ASSERT_TRUE(parcel.ok()) << parcel.error().text();
    EXPECT_EQ(unpack(parcel.value()).value().size(), 4000u);
}

TEST(Parcel, WhatDoesNotFitIsAnError) {
    std::vector<Bundle> bundles;
    bundles.emplace_back();
    EXPECT_FALSE(pack(bundles).ok());
    bundles.back().label = "session";
    for (size_t i = 0; i <= Bundle::kBundleDescriptorsMax; ++i) bundles.back().fds.push_back(Fd::adopt(dup(0)));
    EXPECT_FALSE(pack(bundles).ok());
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    Fd other = Fd::adopt(pair[1]);
    EXPECT_TRUE(unpack(Fd::adopt(pair[0])).value().empty());
    EXPECT_FALSE(unpack(Fd::adopt(open("/dev/null", O_RDONLY | O_CLOEXEC))).ok());
}

}  // namespace
}  // namespace callgate
