// Webhook: tells others of approvals, by signed HTTP POSTs from a thread of its own. Nothing waits for it.
//
//   webhook->post("https://example.org/hook", "approval_requested", "{…}")   ->  true: it will be tried
//
// A delivery that is not answered with 2xx within kAttemptSeconds is tried again, kAttemptsMax times in all, each time
// after twice as long; others go in between. Redirects are not followed. At most kQueueMax deliveries wait; one more is
// dropped. What is dropped or given up is counted, and told to `failed`. Where an agent ends, abandon() tells what waits.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"

namespace callgate {

class Webhook {
  public:
    struct Failure {
        std::string url, event, reason;
        int attempts = 0;
    };
    struct Options {
        std::string secret;
        std::function<void(const Failure&)> failed;  // from any thread; may not call this
        int64_t first_pause_ms = 1000;               // before the second attempt
    };
    struct Figures {
        uint64_t delivered = 0, retried = 0, failed = 0;
        size_t waiting = 0;
        std::string last_error;
    };
    static constexpr int kAttemptsMax = 6;
    static constexpr long kAttemptSeconds = 10;
    static constexpr size_t kQueueMax = 256;

    static Result<std::unique_ptr<Webhook>> start(Options options);
    ~Webhook();
    Webhook(const Webhook&) = delete;
    Webhook& operator=(const Webhook&) = delete;

    // Any thread. `body`: JSON. False where it was dropped.
    bool post(std::string url, std::string event, std::string body);
    Figures figures() const;
    // Nothing is tried any more. What has not been delivered, or not been answered yet, is told to `failed`, which is not called
    // after that.
    void abandon();

  private:
    struct Delivery {
        std::string url, event, body, id;
        int attempts = 0;
        int64_t due_ns = 0;  // monotonic
    };
    explicit Webhook(Options options) : options_(std::move(options)) {}
    void run();
    // "" where it was delivered, else why not.
    std::string attempt(const Delivery& delivery);
    static Failure unfinished(const Delivery& delivery);
    // With the mutex held.
    void finish(Delivery delivery, const std::string& problem);

    Options options_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Delivery> waiting_;
    std::optional<Failure> trying_;  // what becomes of the delivery under way if this ends
    Figures figures_;
    std::atomic<bool> stopping_ = false;  // also asked in the middle of an attempt
    std::thread thread_;
};

}  // namespace callgate
