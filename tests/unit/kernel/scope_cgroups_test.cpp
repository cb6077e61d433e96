#include "kernel/scope_cgroups.h"

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace callgate {
namespace {

std::string mount_of_cgroup2() {
    std::ifstream mounts("/proc/self/mounts");
    std::string device, directory, type, rest;
    while (mounts >> device >> directory >> type && std::getline(mounts, rest))
        if (type == "cgroup2") return directory;
    return {};
}

// A cgroup that is not there yet, below one that is not there either.
class ScopeCgroupsTest : public ::testing::Test {
  protected:
    ScopeCgroupsTest()
        : above_(mount_of_cgroup2() + "/callgate-unit-" + std::to_string(::getpid())),
          group_(above_ + "/group"),
          map_(Fd::adopt(bpf_map_create(BPF_MAP_TYPE_CGROUP_ARRAY, "cgroups", sizeof(uint32_t), sizeof(uint32_t), 1, nullptr))) {}
    ~ScopeCgroupsTest() override {
        ::rmdir(group_.c_str());
        ::rmdir(above_.c_str());
    }
    void make() {
        (void)::mkdir(above_.c_str(), 0755);
        ASSERT_EQ(::mkdir(group_.c_str(), 0755), 0);
    }
    static bool is_readable(const ScopeCgroups& cgroups) {
        pollfd waiting{cgroups.fd(), POLLIN, 0};
        return ::poll(&waiting, 1, 500) == 1;
    }

    const std::string above_, group_;
    const Fd map_;
};

TEST_F(ScopeCgroupsTest, OneMayComeLateAndBeMadeAgain) {
    ASSERT_TRUE(map_) << "run as root";
    ASSERT_TRUE(check_cgroups({group_}));
    auto started = ScopeCgroups::start({group_}, map_.get());
    ASSERT_TRUE(started) << started.error().text();
    ScopeCgroups& cgroups = *started.value();
    EXPECT_EQ(absent_cgroups({group_}), "cgroup " + group_ + ": not there now; what runs there is governed once it is");
    EXPECT_FALSE(cgroups.follow());
    for (int times = 0; times < 3; ++times) {
        make();
        EXPECT_TRUE(is_readable(cgroups));
        EXPECT_TRUE(cgroups.follow());
        EXPECT_EQ(absent_cgroups({group_}), "");
        EXPECT_FALSE(cgroups.follow());
        ASSERT_EQ(::rmdir(group_.c_str()), 0);
        if (times == 0) continue;  // made again at once
        EXPECT_TRUE(is_readable(cgroups));
        EXPECT_FALSE(cgroups.follow());
        ASSERT_EQ(::rmdir(above_.c_str()), 0);
    }
}

TEST_F(ScopeCgroupsTest, WhatIsNoneAndCannotBeOneIsRefused) {
    for (const char* path : {"/tmp", "/nowhere/at/all", "none"}) {
        const Status checked = check_cgroups({group_, path});
        ASSERT_FALSE(checked);
        EXPECT_NE(checked.error().text().find(std::string(path) + ": is not a directory of cgroup v2"), std::string::npos);
    }
    make();
    EXPECT_FALSE(check_cgroups({group_ + "/cgroup.procs"}));
}

}  // namespace
}  // namespace callgate
