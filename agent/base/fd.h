// Fd: the one owner of a file descriptor. Move-only; closes on destruction; no implicit conversion to int.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace callgate {

// The kernel makes a process's table of descriptors larger as it fills, and a process with several threads waits in there
// until no processor is in such code as a held thread is in. Room for so many is made at the start, while nobody is held.
inline constexpr int kDescriptorsAtOnce = 65536;

class Fd {
  public:
    Fd() = default;
    static Fd adopt(int fd) { return Fd(fd); }
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }
    explicit operator bool() const { return valid(); }
    int release() { return std::exchange(fd_, -1); }
    void reset() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

  private:
    explicit Fd(int fd) : fd_(fd) {}
    int fd_ = -1;
};

// Turns O_NONBLOCK off, for whoever shares the open file: only of files that are ours. A read of the ring waits in the kernel
// then.
inline void set_blocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK)) (void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

}  // namespace callgate
