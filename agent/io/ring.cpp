#include "io/ring.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "base/clock.h"

namespace callgate {
namespace {

// The kind of an operation lives in the low bits of its user data; a Completion is aligned to 8.
enum : uint64_t { kTagPlain = 0, kTagRead = 1, kTagMask = 7 };

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

Result<std::unique_ptr<Ring>> Ring::create() {
    std::unique_ptr<Ring> ring(new Ring());
    struct Attempt {
        unsigned flags;
        const char* name;
    };
    const Attempt attempts[] = {
        {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, "single issuer, deferred task work"},
        {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN, "single issuer, cooperative task work"},
        {IORING_SETUP_COOP_TASKRUN, "cooperative task work"},
        {0, "plain"},
    };
    int error = 0;
    for (const Attempt& attempt : attempts) {
        io_uring_params params{};
        params.flags = attempt.flags | IORING_SETUP_CQSIZE;
        params.cq_entries = 16384;
        error = io_uring_queue_init_params(2048, &ring->ring_, &params);
        if (error == 0) {
            ring->ready_ = true;
            ring->features_ = attempt.name;
            break;
        }
    }
    if (!ring->ready_) return Error::system("io_uring_setup", "", -error);

    // Linux 5.19 has both.
    io_uring_probe* probe = io_uring_get_probe_ring(&ring->ring_);
    if (probe && io_uring_opcode_supported(probe, IORING_OP_SOCKET)) ring->poll_first_ = IORING_RECVSEND_POLL_FIRST;
    if (probe) io_uring_free_probe(probe);

    size_t bytes = kBuffers * kReadBytes;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return Error::system("mmap", "read buffers", errno);
    ring->buffers_ = static_cast<char*>(memory);
    size_t ring_bytes = kBuffers * sizeof(io_uring_buf);
    memory = mmap(nullptr, ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return Error::system("mmap", "buffer ring", errno);
    ring->buffer_ring_ = static_cast<io_uring_buf_ring*>(memory);
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<uint64_t>(memory);
    registration.ring_entries = kBuffers;
    registration.bgid = kBufferGroup;
    if (int failed = io_uring_register_buf_ring(&ring->ring_, &registration, 0))
        return Error::system("io_uring_register_buf_ring", "", -failed);
    io_uring_buf_ring_init(ring->buffer_ring_);
    for (unsigned i = 0; i < kBuffers; ++i)
        io_uring_buf_ring_add(ring->buffer_ring_, ring->buffers_ + i * kReadBytes, kReadBytes, i,
                              io_uring_buf_ring_mask(kBuffers), i);
    io_uring_buf_ring_advance(ring->buffer_ring_, kBuffers);

    ring->wake_ = Fd::adopt(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!ring->wake_) return Error::system("eventfd", "", errno);
    return ring;
}

Ring::~Ring() {
    if (ready_) io_uring_queue_exit(&ring_);
    if (buffer_ring_) munmap(buffer_ring_, kBuffers * sizeof(io_uring_buf));
    if (buffers_) munmap(buffers_, kBuffers * kReadBytes);
}

io_uring_sqe* Ring::next_entry() {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    while (!entry) {
        io_uring_submit(&ring_);
        entry = io_uring_get_sqe(&ring_);
    }
    return entry;
}

void Ring::read(int fd, bool is_socket, Completion* completion, bool waits) {
    io_uring_sqe* entry = next_entry();
    if (is_socket) {
        io_uring_prep_recv(entry, fd, nullptr, kReadBytes, 0);
        if (waits) entry->ioprio = poll_first_;
    } else {
        io_uring_prep_read(entry, fd, nullptr, kReadBytes, -1);
    }
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = kBufferGroup;
    entry->user_data = reinterpret_cast<uint64_t>(completion) | kTagRead;
}

void Ring::read_into(int fd, bool is_socket, std::span<char> memory, Completion* completion, bool waits) {
    io_uring_sqe* entry = next_entry();
    if (is_socket) {
        io_uring_prep_recv(entry, fd, memory.data(), memory.size(), 0);
        if (waits) entry->ioprio = poll_first_;
    } else {
        io_uring_prep_read(entry, fd, memory.data(), memory.size(), -1);
    }
    entry->user_data = reinterpret_cast<uint64_t>(completion);
}

void Ring::write(int fd, bool is_socket, std::string_view bytes, Completion* completion) {
    io_uring_sqe* entry = next_entry();
    unsigned length = static_cast<unsigned>(std::min<size_t>(bytes.size(), 1u << 30));
    if (is_socket) {
        io_uring_prep_send(entry, fd, bytes.data(), length, MSG_NOSIGNAL);
    } else {
        io_uring_prep_write(entry, fd, bytes.data(), length, -1);
    }
    entry->user_data = reinterpret_cast<uint64_t>(completion);
}

void Ring::accept(int listener, Completion* completion) {
    io_uring_sqe* entry = next_entry();
    io_uring_prep_accept(entry, listener, nullptr, nullptr, SOCK_CLOEXEC);
    entry->user_data = reinterpret_cast<uint64_t>(completion);
}

void Ring::poll_hangup(int fd, Completion* completion) {
    io_uring_sqe* entry = next_entry();
    io_uring_prep_poll_add(entry, fd, 0);
    entry->user_data = reinterpret_cast<uint64_t>(completion);
}

void Ring::poll_readable(int fd, Completion* completion) {
    io_uring_sqe* entry = next_entry();
    io_uring_prep_poll_add(entry, fd, POLLIN);
    entry->user_data = reinterpret_cast<uint64_t>(completion);
}

void Ring::poll_writable(int fd, Completion* completion) {
    io_uring_sqe* entry = next_entry();
    io_uring_prep_poll_add(entry, fd, POLLOUT);
    entry->user_data = reinterpret_cast<uint64_t>(completion);
}

void Ring::cancel(Completion* completion) {
    for (uint64_t tag : {kTagPlain, kTagRead}) {
        io_uring_sqe* entry = next_entry();
        io_uring_prep_cancel64(entry, reinterpret_cast<uint64_t>(completion) | tag, IORING_ASYNC_CANCEL_ALL);
        entry->user_data = 0;
    }
}

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

void Ring::handle(const io_uring_cqe& entry) {
    auto* completion = reinterpret_cast<Completion*>(entry.user_data & ~uint64_t{kTagMask});
    if (!completion) return;
    if (!(entry.flags & IORING_CQE_F_BUFFER)) return completion->complete(entry.res, {});
    unsigned number = entry.flags >> IORING_CQE_BUFFER_SHIFT;
    char* memory = buffers_ + number * kReadBytes;
    completion->complete(entry.res, {memory, entry.res > 0 ? static_cast<size_t>(entry.res) : 0});
    io_uring_buf_ring_add(buffer_ring_, memory, kReadBytes, number, io_uring_buf_ring_mask(kBuffers), 0);
    io_uring_buf_ring_advance(buffer_ring_, 1);
}

void Ring::run() {
    auto wake_up = std::make_unique<WakeUp>(*this);
    wake_up->arm();
    wake_up_ = std::move(wake_up);
    drain_posted();
    while (!stopping_) {
        __kernel_timespec* limit = nullptr;
        __kernel_timespec timeout{};
        if (!timers_.empty()) {
            int64_t left = std::max<int64_t>(0, timers_.front().due_ns - monotonic_ns());
            timeout = {left / 1'000'000'000, left % 1'000'000'000};
            limit = &timeout;
        }
        io_uring_cqe* first = nullptr;
        io_uring_submit_and_wait_timeout(&ring_, &first, 1, limit, nullptr);
        io_uring_cqe* batch[256];
        unsigned count;
        while ((count = io_uring_peek_batch_cqe(&ring_, batch, 256)) > 0) {
            for (unsigned i = 0; i < count; ++i) handle(*batch[i]);
            io_uring_cq_advance(&ring_, count);
        }
        run_timers();
    }
}

}  // namespace callgate
