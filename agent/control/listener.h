// Binding the control socket: private from its first moment, never over a live agent.
#pragma once
#include <sys/stat.h>

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace callgate {

class ControlListener {
  public:
    // A stale socket is replaced; a live one, and what is no socket, is an error.
    static Result<ControlListener> bind(const std::string& path);
    // What bind() would say of what is there now, whoever listens on it; nothing is made or removed.
    static Status check(const std::string& path);
    ControlListener(ControlListener&&) = default;
    ~ControlListener();  // unlinks the socket, if it is still ours
    int fd() const { return fd_.get(); }

  private:
    ControlListener(std::string path, Fd fd, dev_t device, ino_t inode)
        : path_(std::move(path)), fd_(std::move(fd)), device_(device), inode_(inode) {}
    std::string path_;
    Fd fd_;
    dev_t device_;
    ino_t inode_;
};

}  // namespace callgate
