#include "session/cgroup.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

TEST(Cgroup, ContainersAreKnownByTheirCgroup) {
    const std::string id(64, 'a');
    EXPECT_EQ(container_of("/system.slice/docker-" + id + ".scope"), id);
    EXPECT_EQ(container_of("/docker/" + id), id);
    EXPECT_EQ(container_of("/kubepods.slice/cri-containerd-" + id + ".scope/inner"), id);
    EXPECT_EQ(container_of("/user.slice/libpod-" + id + ".scope/container"), id);
    for (const std::string& other : {std::string(), std::string("/user.slice"), "/docker/" + id.substr(1), "/docker/f" + id,
                                     "/docker/" + std::string(64, 'A'), "/x" + id}) {
        EXPECT_EQ(container_of(other), "") << other;
    }
}

TEST(Cgroup, UnitsOfTheSystem) {
    EXPECT_EQ(unit_of("/system.slice/ci.service"), "ci.service");
    EXPECT_EQ(unit_of("/system.slice/ci.service/worker/3"), "ci.service");
    EXPECT_EQ(unit_of("/system.slice/system-getty.slice/getty@tty1.service"), "getty@tty1.service");
    EXPECT_EQ(unit_of("/user.slice/user-1000.slice/session-3.scope"), "session-3.scope");
    EXPECT_EQ(unit_of("/init.scope"), "init.scope");
    EXPECT_EQ(unit_of("/system.slice/_cgroup.service"), "cgroup.service");
}

TEST(Cgroup, UnitsOfAUserCarryItsManager) {
    const std::string user = "/user.slice/user-1000.slice/user@1000.service";
    EXPECT_EQ(unit_of(user + "/app.slice/notes.service"), "user@1000.service/notes.service");
    EXPECT_EQ(unit_of(user + "/init.scope"), "user@1000.service/init.scope");
    EXPECT_EQ(unit_of(user), "user@1000.service");
    // A user may make this one.
    EXPECT_EQ(unit_of(user + "/system.slice/ci.service"), "user@1000.service/ci.service");
}

TEST(Cgroup, AUsersOwnContainersAreNoneOfTheSystem) {
    const std::string id(64, 'a');
    EXPECT_EQ(system_container_of("/system.slice/docker-" + id + ".scope"), id);
    EXPECT_EQ(system_container_of("/docker/" + id), id);
    EXPECT_EQ(system_container_of("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id + ".scope"), "");
}

TEST(Cgroup, WhatIsNoUnit) {
    for (const char* path :
         {"", "/", "/system.slice", "/docker/ci.service", "/a.slice/b/ci.service", "//", "/kubepods/pod1/x.scope"}) {
        EXPECT_EQ(unit_of(path), "") << path;
    }
}

}  // namespace
}  // namespace callgate
