// What makes the agent read its policies again.
#include "lifecycle/policy_watch.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <deque>
#include <filesystem>

#include "../session/temp_tree.h"

namespace callgate {
namespace {

using namespace std::chrono_literals;

class Watched : public ::testing::Test {
  protected:
    void SetUp() override {
        mkdir(tree_.path("/policies.d").c_str(), 0755);
        put("a", "one");
        auto loaded = PolicyStore::load(tree_.path("/policies.d"));
        ASSERT_TRUE(loaded.ok());
        auto now = std::make_shared<const PolicyStore>(std::move(loaded).value());
        auto started = PolicyWatch::start(tree_.root(), now, std::make_shared<const GrantStore>(GrantStore::load(tree_.root())),
                                          [this](PolicyWatch::Loaded next) {
                                              std::lock_guard lock(mutex_);
                                              seen_.push_back(std::move(next));
                                              changed_.notify_one();
                                          });
        ASSERT_TRUE(started.ok());
        watch_ = std::move(started).value();
    }
    void put(const std::string& name, const std::string& description, const std::string& place = "/policies.d") {
        const std::string beside = tree_.path(place + "/.new");
        std::ofstream(beside) << R"({"version":"1","default":"deny","server":{"package":"p"},"description":")" << description
                              << "\"}";
        chmod(beside.c_str(), 0644);
        std::filesystem::rename(beside, tree_.path(place + "/" + name + ".json"));
    }
    // The next change; the deadline is there for a test that fails.
    PolicyWatch::Loaded next() {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, 20s, [&] { return !seen_.empty(); })) {
            ADD_FAILURE() << "nothing was read again";
            return {};
        }
        PolicyWatch::Loaded first = std::move(seen_.front());
        seen_.pop_front();
        return first;
    }
    static std::string names(const PolicyWatch::Loaded& loaded) {
        std::string text;
        if (loaded.policies) {
            for (const auto& policy : loaded.policies->policies()) text += policy->name() + " ";
        }
        return text;
    }

    TempTree tree_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<PolicyWatch::Loaded> seen_;
    std::unique_ptr<PolicyWatch> watch_;
};

TEST_F(Watched, AFileThatIsRenamedIntoPlace) {
    put("b", "x");
    EXPECT_EQ(names(next()), "a b ");
    unlink(tree_.path("/policies.d/a.json").c_str());
    EXPECT_EQ(names(next()), "b ");
}

TEST_F(Watched, AFileThatBecomesWritableByOthers) {
    chmod(tree_.path("/policies.d/a.json").c_str(), 0666);
    const PolicyWatch::Loaded loaded = next();
    EXPECT_EQ(names(loaded), "a ");  // its last good version
    EXPECT_EQ(loaded.policies->problems().size(), 1u);
}

TEST_F(Watched, Grants) {
    const std::string beside = tree_.path("/.grants.new");
    const auto put_grants = [&](const std::string& text) {
        std::ofstream(beside) << text;
        chmod(beside.c_str(), 0644);
        std::filesystem::rename(beside, tree_.path("/grants.json"));
    };
    put_grants(R"({"version":"1","grants":{"ci":{"match":{"user":"ci"}}}})");
    PolicyWatch::Loaded loaded = next();
    ASSERT_EQ(loaded.grants->table->grants().size(), 1u);
    put_grants("{");
    loaded = next();
    EXPECT_EQ(loaded.grants->table->grants().size(), 1u);  // the last good version
    EXPECT_FALSE(loaded.grants->problems.empty());
    unlink(tree_.path("/grants.json").c_str());
    EXPECT_TRUE(next().grants->table->grants().empty());
}

TEST_F(Watched, ADirectoryThatIsSwapped) {
    mkdir(tree_.path("/v2").c_str(), 0755);
    put("z", "x", "/v2");
    std::filesystem::rename(tree_.path("/policies.d"), tree_.path("/v1"));
    std::filesystem::rename(tree_.path("/v2"), tree_.path("/policies.d"));
    PolicyWatch::Loaded loaded = next();
    // It may have been looked at before and between the two.
    while (!loaded.error.empty() || names(loaded) == "a ") loaded = next();
    EXPECT_EQ(names(loaded), "z ");
    put("y", "x");
    EXPECT_EQ(names(next()), "y z ");
}

TEST_F(Watched, ADirectoryThatGoesIsAnError) {
    std::filesystem::rename(tree_.path("/policies.d"), tree_.path("/away"));
    EXPECT_NE(next().error, "");
    std::filesystem::rename(tree_.path("/away"), tree_.path("/policies.d"));
    watch_->reload([] {});
    EXPECT_EQ(next().error, "");
}

TEST_F(Watched, WhatIsAskedForIsAnsweredThoughNothingChanged) {
    bool done = false;
    watch_->reload([&] { done = true; });
    const PolicyWatch::Loaded loaded = next();
    ASSERT_EQ(loaded.asked.size(), 1u);
    loaded.asked[0]();
    EXPECT_TRUE(done);
    EXPECT_EQ(names(loaded), "a ");
}

TEST_F(Watched, WhatDoesNotMatterIsNotReported) {
    std::ofstream(tree_.path("/policies.d/README")) << "x";
    put("a", "one");  // the same bytes
    put("c", "x");
    EXPECT_EQ(names(next()), "a c ");
    std::lock_guard lock(mutex_);
    EXPECT_TRUE(seen_.empty());
}

}  // namespace
}  // namespace callgate
