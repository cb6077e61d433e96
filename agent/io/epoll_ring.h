// EpollRing: the Ring of epoll(7), where there is no io_uring.
//
// A descriptor is watched while it has operations, and each operation is one call that does not wait, made when
// the descriptor is ready for it. O_NONBLOCK belongs to the file, which other programs hold too, so it is not
// touched: sockets are asked with MSG_DONTWAIT, and what goes into or out of a pipe goes through a pipe of this
// ring's, by splice(2).
#pragma once
#include <unordered_map>

#include "io/ring.h"

namespace callgate {

class EpollRing : public Ring {
  public:
    static Result<std::unique_ptr<Ring>> create();

    void read(int fd, bool is_socket, Completion* completion, bool waits) override;
    void read_into(int fd, bool is_socket, std::span<char> memory, Completion* completion, bool waits) override;
    void write(int fd, bool is_socket, std::string_view bytes, Completion* completion) override;
    void accept(int listener, Completion* completion) override;
    void poll(int fd, short events, Completion* completion) override;
    void cancel(Completion* completion) override;

  private:
    struct Operation {
        enum class Kind : uint8_t { read, read_into, write, accept, poll } kind;
        bool is_socket;
        uint32_t events;  // epoll's
        Completion* completion;
        char* memory;  // only read from by a write
        size_t bytes;
    };
    struct Ended {
        Completion* completion;
        int result;
    };
    EpollRing() : Ring(Kind::epoll, "epoll") {}
    void turn(std::optional<std::chrono::nanoseconds> limit) override;
    struct Watched {
        bool is_any;
        uint32_t events;
        bool operator==(const Watched&) const = default;
    };
    static Watched watched(const std::vector<Operation>& all);
    void begin(int fd, const Operation& operation);
    int put_down(int fd, const Operation& operation);
    // As its operations are now; `before` they were as that. An errno, or 0.
    int watch(int fd, const Watched& before);
    void ready(int fd, uint32_t events);
    void forget(int fd, Completion* completion);
    void complete(int fd, const Operation& operation, uint32_t events);
    void complete_ended();
    ssize_t receive(int fd, const Operation& operation, char* memory);
    ssize_t send(int fd, const Operation& operation);

    Fd epoll_;
    Fd pipe_reading_, pipe_writing_;                   // empty between two calls
    std::unique_ptr<char[]> buffer_;                   // kReadBytes, of reads without memory of their own
    std::vector<std::vector<Operation>> operations_;   // by descriptor
    std::unordered_multimap<Completion*, int> where_;  // the descriptor of each operation
    std::vector<Operation> due_;                       // those of one descriptor
    std::vector<Ended> ended_;                         // by cancelling, or at once: told in the next turn
};

}  // namespace callgate
