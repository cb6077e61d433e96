// What would keep the next agent from starting is found without opening or making anything.
#include "lifecycle/startable.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../session/temp_tree.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

class Startable : public ::testing::Test {
  protected:
    Startable() {
        config_.state_directory = tree_.path("/state");
        config_.audit_file = tree_.path("/log/audit");
        config_.control_socket = tree_.path("/run/control");
    }
    void put(const std::string& name, const std::string& text, mode_t mode) {
        tree_.file(name, text);
        ASSERT_EQ(::chmod(tree_.path(name).c_str(), mode), 0);
    }
    std::string problem() const {
        const Status checked = check_startable(config_);
        return checked ? "" : checked.error().text();
    }
    bool is_there(const std::string& name) const { return ::access(tree_.path(name).c_str(), F_OK) == 0; }

    TempTree tree_;
    Config config_;
};

TEST_F(Startable, WhatIsAbsentIsMadeLater) {
    EXPECT_EQ(problem(), "");
    for (const char* name : {"/state", "/log", "/run"}) EXPECT_FALSE(is_there(name));
    config_.webhook_url = "https://example.invalid/";
    EXPECT_EQ(problem(), "");
}

TEST_F(Startable, OneDirectoryAtMost) {
    for (std::string* path : {&config_.state_directory, &config_.audit_file, &config_.control_socket}) {
        const std::string good = *path;
        *path = tree_.path("/a/b/c");
        EXPECT_THAT(problem(), HasSubstr("No such file"));
        *path = good;
    }
}

TEST_F(Startable, WhatIsThereIsAsItMustBe) {
    const std::string secret(32, 'x');
    put("/state/audit.secret", secret, 0640);
    EXPECT_THAT(problem(), HasSubstr("the hash secret must be"));
    put("/state/audit.secret", "short", 0600);
    EXPECT_THAT(problem(), HasSubstr("32 bytes"));
    put("/state/audit.secret", secret, 0600);
    put("/state/state.db", "", 0640);
    EXPECT_THAT(problem(), HasSubstr("state.db: can be read or written by others"));
    put("/state/state.db", "", 0600);
    put("/run/control", "", 0600);
    EXPECT_THAT(problem(), HasSubstr("no socket"));
    ASSERT_EQ(::unlink(tree_.path("/run/control").c_str()), 0);
    EXPECT_EQ(problem(), "");
    config_.state_directory = tree_.path("/state/state.db");
    EXPECT_THAT(problem(), HasSubstr("is no directory"));
}

TEST_F(Startable, AWebhookCanBeSigned) {
    config_.webhook_url = "https://example.invalid/";
    put("/state/webhook.secret", "0123456789abcdef", 0640);
    EXPECT_THAT(problem(), HasSubstr("chmod 0600"));
    put("/state/webhook.secret", "0123456789abcdef", 0600);
    EXPECT_EQ(problem(), "");
    config_.webhook_secret_file = tree_.path("/secret");
    EXPECT_THAT(problem(), HasSubstr("No such file"));
    put("/secret", "short", 0600);
    EXPECT_THAT(problem(), HasSubstr("16 to 4096 bytes"));
    EXPECT_FALSE(is_there("/run"));
}

TEST_F(Startable, AScopeFitsIntoTheKernelsMaps) {
    config_.scope.users.resize(65);
    EXPECT_THAT(problem(), HasSubstr("more than 64 users"));
    config_.scope.users.clear();
    config_.scope.cgroups.assign(17, "/sys/fs/cgroup");
    EXPECT_THAT(problem(), HasSubstr("more than 16 cgroups"));
    config_.scope.cgroups = {"/tmp"};
    EXPECT_THAT(problem(), HasSubstr("is not a directory of cgroup v2"));
}

TEST_F(Startable, NobodyElseHasTheDirectories) {
    ASSERT_EQ(::geteuid(), 0u) << "run as root";
    for (const char* name : {"/log", "/run"}) {
        tree_.directory(name);
        ASSERT_EQ(::chown(tree_.path(name).c_str(), 1234, 0), 0);
        EXPECT_THAT(problem(), HasSubstr(std::string(name) + ": belongs to user 1234"));
        ASSERT_EQ(::chown(tree_.path(name).c_str(), 0, 0), 0);
    }
    EXPECT_EQ(problem(), "");
}

}  // namespace
}  // namespace callgate
