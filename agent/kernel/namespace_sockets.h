// NamespaceSockets: makes TCP sockets in another network namespace.
//
// setns(2) moves one thread, so this is one: it lives in the namespace and keeps a few sockets ready, so that a
// connection need not wait for it. take() may be called from any thread.
#pragma once
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace callgate {

class NamespaceSockets {
  public:
    // Returns when the thread is in the namespace.
    explicit NamespaceSockets(const Fd& netns);
    ~NamespaceSockets();
    // A new IPv4 or IPv6 stream socket that does not block; waits for the thread only where none is ready.
    Result<Fd> take(int family);
    // What ip_local_port_range and ip_local_reserved_ports said there at the beginning; empty where they cannot be read.
    const std::string& port_range() const { return port_range_; }
    const std::string& reserved_ports() const { return reserved_ports_; }

  private:
    static constexpr size_t kReady = 32;
    struct Shelf {
        std::vector<Fd> ready;
        int error = 0;      // why none can be made
        bool used = false;  // nothing is made in advance for a family that nobody asks for
    };
    void run(int netns);
    Shelf& shelf(int family);

    std::mutex mutex_;
    std::condition_variable wanted_, made_;
    Shelf shelves_[2];
    std::string port_range_, reserved_ports_;
    int entered_ = -1;  // -1: not yet; else errno of setns
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace callgate
