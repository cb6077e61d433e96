#include "io/ring.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "io/epoll_ring.h"
#include "io/uring.h"

namespace callgate {
namespace {

bool later(const auto& a, const auto& b) { return a.due_ns > b.due_ns; }

}  // namespace

// The eventfd by which other threads wake the loop.
class Ring::WakeUp : public Completion {
  public:
    explicit WakeUp(Ring& ring) : ring_(ring) {}
    void arm() { ring_.poll_readable(ring_.wake_.get(), this); }
    void complete(int, std::string_view) override {
        uint64_t count = 0;
        (void)!::read(ring_.wake_.get(), &count, sizeof(count));
        ring_.drain_posted();
        arm();
    }

  private:
    Ring& ring_;
};

Result<std::unique_ptr<Ring>> Ring::create(Kind kind) {
    std::unique_ptr<Ring> ring = TRY(kind == Kind::io_uring ? Uring::create() : EpollRing::create());
    if (!ring->wake_) return Error::system("eventfd", "", errno);
    return ring;
}

Result<std::unique_ptr<Ring>> Ring::create() {
    auto uring = create(Kind::io_uring);
    if (uring) return uring;
    std::unique_ptr<Ring> ring = TRY(create(Kind::epoll));
    ring->features_ += ", for want of io_uring (" + uring.error().text() + ")";
    return ring;
}

Ring::Ring(Kind kind, std::string features)
    : kind_(kind), features_(std::move(features)), wake_(Fd::adopt(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {}
Ring::~Ring() = default;

void Ring::poll_readable(int fd, Completion* completion) { poll(fd, POLLIN, completion); }
void Ring::poll_writable(int fd, Completion* completion) { poll(fd, POLLOUT, completion); }

void Ring::after(std::chrono::nanoseconds delay, std::function<void()> task) {
    timers_.push_back({monotonic_ns() + delay.count(), std::move(task)});
    std::push_heap(timers_.begin(), timers_.end(), later<Timer, Timer>);
}

void Ring::post(std::function<void()> task) {
    {
        std::lock_guard lock(mutex_);
        posted_.push_back(std::move(task));
    }
    uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof(one));
}

void Ring::stop() {
    stopping_ = true;
    post([] {});
}

void Ring::drain_posted() {
    std::vector<std::function<void()>> tasks;
    {
        std::lock_guard lock(mutex_);
        tasks.swap(posted_);
    }
    for (auto& task : tasks) task();
}

void Ring::run_timers() {
    while (!timers_.empty() && timers_.front().due_ns <= monotonic_ns()) {
        std::pop_heap(timers_.begin(), timers_.end(), later<Timer, Timer>);
        auto task = std::move(timers_.back().task);
        timers_.pop_back();
        task();
    }
}

void Ring::run() {
    auto wake_up = std::make_unique<WakeUp>(*this);
    wake_up->arm();
    wake_up_ = std::move(wake_up);
    drain_posted();
    while (!stopping_) {
        std::optional<std::chrono::nanoseconds> limit;
        if (!timers_.empty()) limit = std::chrono::nanoseconds(std::max<int64_t>(0, timers_.front().due_ns - monotonic_ns()));
        turn(limit);
        run_timers();
    }
}

}  // namespace callgate
