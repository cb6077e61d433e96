// Ring: the loop of the agent, and what it asks of the kernel: operations that end later.
//
// There are two: of io_uring(7) (uring.h), and where a kernel, a sysctl or a container's seccomp profile keeps
// that from the agent, of epoll(7) and calls that do not wait (epoll_ring.h). Who uses it sees no difference.
//
// An operation belongs to a Completion; it may not die, nor may the descriptor be closed, before its operations
// are done or cancelled. Reads without memory of their own take it from the ring when data arrives, so an idle
// connection holds none.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
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
    enum class Kind { io_uring, epoll };
    // The thread that creates it is the one that runs it. Of io_uring where that can be had, else of epoll.
    static Result<std::unique_ptr<Ring>> create();
    static Result<std::unique_ptr<Ring>> create(Kind kind);
    virtual ~Ring();
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    // All of these queue an operation: it never completes before they return.
    // `waits`: nothing is there to be read yet, as far as is known. What is no socket is a pipe.
    virtual void read(int fd, bool is_socket, Completion* completion, bool waits = false) = 0;
    // Into memory of the caller's, valid until the operation has ended; the completion is told no bytes.
    virtual void read_into(int fd, bool is_socket, std::span<char> memory, Completion* completion, bool waits = false) = 0;
    virtual void write(int fd, bool is_socket, std::string_view bytes, Completion* completion) = 0;
    virtual void accept(int listener, Completion* completion) = 0;  // one connection; its result is the descriptor
    // For POLLERR and POLLHUP, and for `events` (POLLIN, POLLOUT), once; its result is what came.
    virtual void poll(int fd, short events, Completion* completion) = 0;
    void poll_hangup(int fd, Completion* completion) { poll(fd, 0, completion); }
    void poll_readable(int fd, Completion* completion);
    void poll_writable(int fd, Completion* completion);
    virtual void cancel(Completion* completion) = 0;                         // every operation of it; each still completes
    void after(std::chrono::nanoseconds delay, std::function<void()> task);  // loop thread only

    // From any thread: runs `task` on the loop.
    void post(std::function<void()> task);
    void run();   // until stop()
    void stop();  // from any thread

    Kind kind() const { return kind_; }
    // Which one it is, and how: "io_uring: single issuer, deferred task work".
    const std::string& features() const { return features_; }

  protected:
    Ring(Kind kind, std::string features);
    // Waits until an operation ends, for at most `limit` where there is one, and completes what has ended.
    virtual void turn(std::optional<std::chrono::nanoseconds> limit) = 0;
    // For a ring that hands its operations on to another one.
    static void turn_of(Ring& other, std::optional<std::chrono::nanoseconds> limit) { other.turn(limit); }

  private:
    void drain_posted();
    void run_timers();

    const Kind kind_;
    std::string features_;
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
