// Uring: the Ring of io_uring(7).
//
// One thread issues and reaps (IORING_SETUP_SINGLE_ISSUER, DEFER_TASKRUN where the kernel has them). It is limited
// to the operations below. Needs registered buffers (Linux 5.19).
#pragma once
#include <liburing.h>

#include "io/ring.h"

namespace callgate {

class Uring : public Ring {
  public:
    static Result<std::unique_ptr<Ring>> create();
    ~Uring() override;

    void read(int fd, bool is_socket, Completion* completion, bool waits) override;
    void read_into(int fd, bool is_socket, std::span<char> memory, Completion* completion, bool waits) override;
    void write(int fd, bool is_socket, std::string_view bytes, Completion* completion) override;
    void accept(int listener, Completion* completion) override;
    void poll(int fd, short events, Completion* completion) override;
    void cancel(Completion* completion) override;

  private:
    Uring(const io_uring& ring, const char* mode);
    Status prepare_buffers();
    Status enable();
    void turn(std::optional<std::chrono::nanoseconds> limit) override;
    io_uring_sqe* next_entry();
    void handle(const io_uring_cqe& entry);

    static constexpr unsigned kBuffers = 64;  // each kReadBytes; only those in use cost memory
    static constexpr int kBufferGroup = 0;

    io_uring ring_;
    io_uring_buf_ring* buffer_ring_ = nullptr;
    char* buffers_ = nullptr;
    uint16_t poll_first_ = 0;  // of a read that waits
};

}  // namespace callgate
