// Worker: one thread that does what it is given, one after the other.
//
//   Worker worker("cg-worker");
//   worker.post([&] { … });      from any thread
//   worker.do_and_wait([&] { … });      likewise, but its own; returns when it is done
//
// What is queued when it is destroyed is done first. Signals are for other threads.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace callgate {

class Worker {
  public:
    // `name`: of the thread; at most 15 characters. `look_after`: what its tasks have left behind, on the same thread: asked
    // after each of them, and every few milliseconds while it says true.
    explicit Worker(const char* name, std::function<bool()> look_after = nullptr);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    void post(std::function<void()> task);
    void do_and_wait(const std::function<void()>& task);

  private:
    void run();

    const std::function<bool()> look_after_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> tasks_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace callgate
