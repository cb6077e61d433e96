#include "kernel/namespace_sockets.h"

#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <fstream>
#include <iterator>

#include "base/capabilities.h"
#include "kernel/confinement.h"

namespace callgate {
namespace {

std::string read_setting(const char* path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

NamespaceSockets::NamespaceSockets(const Fd& netns) {
    thread_ = std::thread([this, fd = netns.get()] { run(fd); });
    pthread_setname_np(thread_.native_handle(), "callgate-netns");
    std::unique_lock lock(mutex_);
    made_.wait(lock, [this] { return entered_ >= 0; });
}

NamespaceSockets::~NamespaceSockets() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wanted_.notify_one();
    thread_.join();
}

NamespaceSockets::Shelf& NamespaceSockets::shelf(int family) { return shelves_[family == AF_INET ? 0 : 1]; }

Result<Fd> NamespaceSockets::take(int family) {
    std::unique_lock lock(mutex_);
    if (entered_ > 0) return Error::system("setns", "network namespace", entered_);
    Shelf& own = shelf(family);
    if (!own.used || own.ready.size() <= kReady / 2) wanted_.notify_one();
    own.used = true;
    own.error = 0;
    made_.wait(lock, [&] { return !own.ready.empty() || own.error; });
    if (own.ready.empty()) return Error::system("socket", "in another network namespace", own.error);
    Fd fd = std::move(own.ready.back());
    own.ready.pop_back();
    return fd;
}

void NamespaceSockets::run(int netns) {
    std::unique_lock lock(mutex_);
    entered_ = setns(netns, CLONE_NEWNET) ? errno : 0;
    if (!entered_) {  // of a thread's own namespace, whatever it finds under /proc/self/net
        port_range_ = read_setting("/proc/sys/net/ipv4/ip_local_port_range");
        reserved_ports_ = read_setting("/proc/sys/net/ipv4/ip_local_reserved_ports");
    }
    made_.notify_all();
    (void)keep_capabilities(0);
    (void)confine_this_thread();  // whoever started it was not; where that cannot be, start-up has said so
    while (!stopping_) {
        bool all_full = true;
        for (int family : {AF_INET, AF_INET6}) {
            Shelf& own = shelf(family);
            if (!own.used || own.error || own.ready.size() >= kReady) continue;
            lock.unlock();
            Fd fd = Fd::adopt(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
            int error = fd ? 0 : errno;
            lock.lock();
            if (fd) own.ready.push_back(std::move(fd));
            own.error = error;
            made_.notify_all();
            all_full = false;
        }
        if (all_full) wanted_.wait(lock);
    }
}

}  // namespace callgate
