#include "base/worker.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

namespace callgate {
namespace {

TEST(Worker, DoesOneAfterTheOtherAndAllOfItBeforeItEnds) {
    std::vector<int> done;
    std::thread::id first, second;
    {
        Worker worker("cg-test");
        worker.post([&] { done.push_back(1), first = std::this_thread::get_id(); });
        worker.post([&] {
            worker.post([&] { done.push_back(3); });
            done.push_back(2), second = std::this_thread::get_id();
        });
    }
    EXPECT_EQ(done, (std::vector<int>{1, 2, 3}));
    EXPECT_EQ(first, second);
    EXPECT_NE(first, std::this_thread::get_id());
}

TEST(Worker, LooksAfterWhatItsTasksLeftBehind) {
    std::atomic<int> left = 0, looked = 0;
    std::promise<void> done;
    Worker worker("cg-test", [&] {
        ++looked;
        if (left == 0 || --left > 0) return left > 0;
        done.set_value();
        return false;
    });
    worker.do_and_wait([] {});
    worker.do_and_wait([&] { left = 3; });
    done.get_future().wait();
    const int so_far = looked;
    EXPECT_GE(so_far, 3);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_EQ(looked, so_far) << "nothing was left";
}

TEST(Worker, SignalsAreForOtherThreads) {
    Worker worker("cg-test");
    std::promise<bool> is_blocked;
    worker.post([&] {
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        is_blocked.set_value(sigismember(&mask, SIGTERM) == 1);
    });
    EXPECT_TRUE(is_blocked.get_future().get());
    sigset_t own;
    pthread_sigmask(SIG_SETMASK, nullptr, &own);
    EXPECT_EQ(sigismember(&own, SIGTERM), 0);
}

}  // namespace
}  // namespace callgate
