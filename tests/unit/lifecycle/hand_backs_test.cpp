#include "lifecycle/hand_backs.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "../../slowness.h"
#include "../base/pipe.h"

namespace callgate {
namespace {

using namespace std::chrono_literals;

// Sessions whose processes have ended: a line of each one's last output is on its way.
class HandBacks : public ::testing::Test {
  protected:
    static constexpr size_t kJobs = 12;
    std::vector<HandBackJob> jobs() {
        std::vector<HandBackJob> list(kJobs);
        for (size_t i = 0; i < kJobs; ++i) {
            list[i].session_id = std::to_string(i);
            list[i].back.copy_rest = [this, i] { return copy_rest(rest_[i], -1, clients_[i].writing.get()); };
            list[i].done = [this, i](std::string problem) {
                problems_[i] = std::move(problem);
                order_.push_back(i);
            };
        }
        return list;
    }
    Pipe clients_[kJobs];
    Unwritten rest_[kJobs];
    std::string problems_[kJobs];
    std::vector<size_t> order_;
};

TEST_F(HandBacks, ClientsThatDoNotReadAreWaitedForTogetherAndLast) {
    for (Unwritten& each : rest_) each.bytes = "last\n";
    for (size_t i = 0; i + 1 < kJobs; ++i) clients_[i].fill();
    const auto begin = std::chrono::steady_clock::now();
    give_back(jobs(), nullptr, [](const HandBackJob&, bool) {});
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_GT(took, 4s);
    EXPECT_LT(took, 8s * kSlowness);
    ASSERT_EQ(order_.size(), kJobs);
    EXPECT_EQ(order_.front(), kJobs - 1);
    EXPECT_EQ(problems_[kJobs - 1], "");
    for (size_t i = 0; i + 1 < kJobs; ++i) EXPECT_NE(problems_[i], "") << i;
}

}  // namespace
}  // namespace callgate
