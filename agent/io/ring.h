// Ring: the one io_uring of the agent (io_uring(7)), and the loop that runs it.
//
// One thread issues and reaps (IORING_SETUP_SINGLE_ISSUER, DEFER_TASKRUN where the kernel has them). An operation
// belongs to a Completion; it may not die before its operations are done or cancelled. Reads without memory of their own
// take it from a shared pool when data arrives, so an idle connection holds none.
#pragma once
#include <liburing.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/limits.h"
#include "base/result.h"

namespace callgate {

// What is told when an operation ends: its result (negative errno) and, for reads, the bytes (valid in the call).
class Completion {
  public:
    virtual ~Completion() = default;
    virtual void complete(int result, std::string_view bytes) = 0;
};

class Ring {
  public:
    // The thread that creates it is the one that runs it.
    static Result<std::unique_ptr<Ring>> create();
    ~Ring();
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    // All of these queue an operation; it is submitted by the next turn of the loop.
    // `waits`: nothing is there to be read yet, as far as is known.
    void read(int fd, bool is_socket, Completion* completion, bool waits = false);
    // Into memory of the caller's, valid until the operation has ended; the completion is told no bytes.
    void read_into(int fd, bool is_socket, std::span<char> memory, Completion* completion, bool waits = false);
    void write(int fd, bool is_socket, std::string_view bytes, Completion* completion);
    void accept(int listener, Completion* completion);         // one connection; its result is the descriptor
    void poll_hangup(int fd, Completion* completion);          // POLLERR or POLLHUP
    void poll_readable(int fd, Completion* completion);        // POLLIN, once
    void poll_writable(int fd, Completion* completion);        // POLLOUT, once
    void cancel(Completion* completion);                       // every operation of it; each still completes
    void after(std::chrono::nanoseconds delay, std::function<void()> task);  // loop thread only

    // From any thread: runs `task` on the loop.
    void post(std::function<void()> task);
    void run();   // until stop()
    void stop();  // from any thread

    const std::string& features() const { return features_; }

  private:
    Ring() = default;
    io_uring_sqe* next_entry();
    void drain_posted();
    void handle(const io_uring_cqe& entry);
    void run_timers();

    static constexpr unsigned kBuffers = 64;  // each kReadBytes; only those in use cost memory
    static constexpr int kBufferGroup = 0;

    io_uring ring_{};
    bool ready_ = false;
    io_uring_buf_ring* buffer_ring_ = nullptr;
    char* buffers_ = nullptr;
    std::string features_;
    uint16_t poll_first_ = 0;  // of a read that waits

    struct Timer {
        int64_t due_ns;
        std::function<void()> task;
    };
    std::vector<Timer> timers_;  // heap, earliest first
    std::mutex mutex_;
    std::vector<std::function<void()>> posted_;
    Fd wake_;
    class WakeUp;
    std::unique_ptr<Completion> wake_up_;
    std::atomic<bool> stopping_{false};
};

}  // namespace callgate
