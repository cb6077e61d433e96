#include "base/worker.h"

#include <pthread.h>
#include <signal.h>

#include <chrono>
#include <future>
#include <utility>

namespace callgate {
namespace {

constexpr std::chrono::milliseconds kLookEvery{5};

}  // namespace

Worker::Worker(const char* name, std::function<bool()> look_after) : look_after_(std::move(look_after)) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(thread_.native_handle(), name);
}

Worker::~Worker() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void Worker::post(std::function<void()> task) {
    {
        std::lock_guard lock(mutex_);
        tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
}

void Worker::do_and_wait(const std::function<void()>& task) {
    std::promise<void> done;
    post([&] {
        task();
        done.set_value();
    });
    done.get_future().wait();
}

void Worker::run() {
    const auto is_called = [this] { return stopping_ || !tasks_.empty(); };
    bool looks = false;
    std::unique_lock lock(mutex_);
    for (;;) {
        if (looks) {
            changed_.wait_for(lock, kLookEvery, is_called);
        } else {
            changed_.wait(lock, is_called);
        }
        if (stopping_ && tasks_.empty()) return;
        std::function<void()> task;
        if (!tasks_.empty()) {
            task = std::move(tasks_.front());
            tasks_.pop_front();
        }
        lock.unlock();
        if (task) task();
        task = nullptr;
        looks = look_after_ && look_after_();
        lock.lock();
    }
}

}  // namespace callgate
