#include "approval/webhook.h"

#include <pthread.h>
#include <signal.h>
#include <sodium.h>

#include <algorithm>
#include <array>

#include "approval/webhook_secret.h"
#include "base/capabilities.h"
#include "base/clock.h"
#include "fetch/curl_library.h"

namespace callgate {
namespace {

constexpr int64_t kNanosecondsPerMillisecond = 1'000'000;
constexpr size_t kErrorBytesMax = 200;

struct CurlDeleter {
    const CurlLibrary& curl;
    void operator()(CURL* handle) const { curl.easy_cleanup(handle); }
    void operator()(curl_slist* list) const { curl.slist_free_all(list); }
};

size_t drop(char*, size_t size, size_t count, void*) { return size * count; }

int is_over(void* stopping, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<const std::atomic<bool>*>(stopping)->load() ? 1 : 0;
}

std::string delivery_id() {
    std::array<unsigned char, 16> random;
    randombytes_buf(random.data(), random.size());
    std::array<char, 33> hex;
    sodium_bin2hex(hex.data(), hex.size(), random.data(), random.size());
    return hex.data();
}

}  // namespace

Result<std::unique_ptr<Webhook>> Webhook::start(Options options) {
    std::unique_ptr<Webhook> webhook(new Webhook(std::move(options)));
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    webhook->thread_ = std::thread([made = webhook.get()] {
        (void)keep_capabilities(0);
        made->run();
    });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(webhook->thread_.native_handle(), "cg-webhook");
    return webhook;
}

Webhook::~Webhook() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

bool Webhook::post(std::string url, std::string event, std::string body) {
    Failure dropped{url, event, "too many deliveries wait already", 0};
    {
        std::lock_guard lock(mutex_);
        if (stopping_) return false;
        if (waiting_.size() < kQueueMax) {
            waiting_.push_back({std::move(url), std::move(event), std::move(body), delivery_id(), 0, monotonic_ns()});
            changed_.notify_one();
            return true;
        }
        ++figures_.failed;
        figures_.last_error = dropped.reason;
    }
    if (options_.failed) options_.failed(dropped);
    return false;
}

Webhook::Figures Webhook::figures() const {
    std::lock_guard lock(mutex_);
    Figures figures = figures_;
    figures.waiting = waiting_.size();
    return figures;
}

void Webhook::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        const auto next = std::min_element(waiting_.begin(), waiting_.end(),
                                           [](const Delivery& a, const Delivery& b) { return a.due_ns < b.due_ns; });
        if (next == waiting_.end()) {
            changed_.wait(lock);
            continue;
        }
        if (const int64_t now_ns = monotonic_ns(); next->due_ns > now_ns) {
            changed_.wait_for(lock, std::chrono::nanoseconds(next->due_ns - now_ns));
            continue;
        }
        Delivery delivery = std::move(*next);
        waiting_.erase(next);
        trying_ = unfinished(delivery);
        lock.unlock();
        const std::string problem = attempt(delivery);
        lock.lock();
        trying_.reset();
        if (!stopping_) finish(std::move(delivery), problem);
    }
}

Webhook::Failure Webhook::unfinished(const Delivery& delivery) {
    return {delivery.url, delivery.event, "the agent ended before it was delivered", delivery.attempts};
}

void Webhook::abandon() {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
    if (!options_.failed) return;
    if (trying_) options_.failed(*trying_);
    for (const Delivery& each : waiting_) options_.failed(unfinished(each));
    trying_.reset();
    waiting_.clear();
}

std::string Webhook::attempt(const Delivery& delivery) {
    const auto loaded = CurlLibrary::load();
    if (!loaded) return loaded.error().text();
    const CurlLibrary& curl = *loaded.value();
    const std::unique_ptr<CURL, CurlDeleter> handle(curl.easy_init(), {curl});
    if (!handle) return "no memory";
    curl_slist* fields = nullptr;
    for (const std::string& field :
         {std::string("Content-Type: application/json"), "X-Callgate-Event: " + delivery.event,
          "X-Callgate-Delivery: " + delivery.id,
          "X-Callgate-Signature: " + webhook_signature(options_.secret, realtime_ns() / 1'000'000'000, delivery.body),
          std::string("Expect:")}) {
        if (curl_slist* longer = curl.slist_append(fields, field.c_str())) fields = longer;
    }
    const std::unique_ptr<curl_slist, CurlDeleter> owner(fields, {curl});
    curl.easy_setopt(handle.get(), CURLOPT_URL, delivery.url.c_str());
    curl.easy_setopt(handle.get(), CURLOPT_PROTOCOLS_STR, "http,https");
    curl.easy_setopt(handle.get(), CURLOPT_HTTPHEADER, fields);
    curl.easy_setopt(handle.get(), CURLOPT_USERAGENT, "callgate");
    curl.easy_setopt(handle.get(), CURLOPT_POSTFIELDS, delivery.body.c_str());
    curl.easy_setopt(handle.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(delivery.body.size()));
    curl.easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, drop);
    curl.easy_setopt(handle.get(), CURLOPT_TIMEOUT, kAttemptSeconds);
    curl.easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
    // What the agent's environment says of proxies is not the configuration.
    curl.easy_setopt(handle.get(), CURLOPT_PROXY, "");
    curl.easy_setopt(handle.get(), CURLOPT_NOPROGRESS, 0L);
    curl.easy_setopt(handle.get(), CURLOPT_XFERINFOFUNCTION, is_over);
    curl.easy_setopt(handle.get(), CURLOPT_XFERINFODATA, &stopping_);
    const CURLcode code = curl.easy_perform(handle.get());
    if (code != CURLE_OK) return curl.easy_strerror(code);
    long status = 0;
    curl.easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300 ? std::string() : "answered with status " + std::to_string(status);
}

void Webhook::finish(Delivery delivery, const std::string& problem) {
    ++delivery.attempts;
    if (problem.empty()) {
        ++figures_.delivered;
        return;
    }
    figures_.last_error = problem.substr(0, kErrorBytesMax);
    if (delivery.attempts < kAttemptsMax) {
        ++figures_.retried;
        const int64_t pause_ms = options_.first_pause_ms << (delivery.attempts - 1);
        delivery.due_ns = monotonic_ns() + pause_ms * kNanosecondsPerMillisecond;
        waiting_.push_back(std::move(delivery));
        return;
    }
    ++figures_.failed;
    if (options_.failed) options_.failed({delivery.url, delivery.event, problem, delivery.attempts});
}

}  // namespace callgate
