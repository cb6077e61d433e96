// The kernel's side of HTTP servers with the test as the agent: children listen and connect in steps, the test hears of
// it, steers, and accepts what is steered.
#pragma once
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <atomic>

#include "../../slowness.h"
#include "base/clock.h"
#include "base/limits.h"
#include "child.h"
#include "kernel/process_sockets.h"
#include "kernel/steering.h"

namespace callgate {

// A child that does one thing after the other when it is told to, and says what came of it.
class Stepper {
  public:
    class Steps {
      public:
        Steps(int orders, int reports) : orders_(orders), reports_(reports) {}
        void await() {
            char byte;
            if (read(orders_, &byte, 1) != 1) _exit(0);
        }
        void report(long value) {
            if (write(reports_, &value, sizeof(value)) != sizeof(value)) _exit(1);
        }

      private:
        int orders_, reports_;
    };
    explicit Stepper(const std::function<void(Steps&)>& body) {
        child_ = std::make_unique<Child>([&] {
            Steps steps(orders_.read.get(), reports_.write.get());
            orders_.write.reset();
            body(steps);
            steps.await();
        });
    }
    pid_t pid() const { return child_->pid(); }
    void go() { EXPECT_EQ(write(orders_.write.get(), "g", 1), 1); }
    long report() {
        long value = -1;
        pollfd waiting{reports_.read.get(), POLLIN, 0};
        EXPECT_EQ(::poll(&waiting, 1, 2000), 1) << "no report";
        if (!(waiting.revents & POLLIN)) return -1;
        EXPECT_EQ(read(reports_.read.get(), &value, sizeof(value)), ssize_t(sizeof(value)));
        return value;
    }
    bool has_reported() {
        pollfd waiting{reports_.read.get(), POLLIN, 0};
        return ::poll(&waiting, 1, 0) == 1;
    }
    void end() { child_->end(); }

  private:
    Ends orders_ = make_pipe(), reports_ = make_pipe();
    std::unique_ptr<Child> child_;
};

inline SocketAddress loopback(int family, uint16_t port = 0) {
    cg_address address{};
    address.family = static_cast<uint16_t>(family);
    address.port = port;
    address.bytes[family == AF_INET ? 3 : 15] = 1;
    if (family == AF_INET) address.bytes[0] = 127;
    return SocketAddress::of(address);
}
inline SocketAddress wildcard(int family, uint16_t port = 0) {
    cg_address address{};
    address.family = static_cast<uint16_t>(family);
    address.port = port;
    return SocketAddress::of(address);
}

inline Fd stream_socket(int family) { return Fd::adopt(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

// 0, or the errno.
inline int connect_to(const Fd& socket, const SocketAddress& to) {
    return ::connect(socket.get(), to.raw(), to.raw_length()) ? errno : 0;
}

inline Fd accept_soon(int listener) {
    pollfd waiting{listener, POLLIN, 0};
    if (::poll(&waiting, 1, 2000) != 1) return {};
    return Fd::adopt(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
}

inline bool raise_loopback() {
    Fd socket = stream_socket(AF_INET);
    ifreq request{};
    strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    return ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0;
}

// A server: binds (reports the port), listens when told (reports how long that took, in ns, or -errno), and from then on
// accepts one connection for each order (reports the peer's port).
inline void serve(Stepper::Steps& steps, SocketAddress at, bool only_six = false, bool reuse_port = false) {
    Fd socket = stream_socket(at.family());
    int one = 1, six = only_six;
    if (at.family() == AF_INET6) setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &six, sizeof(six));
    setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (reuse_port) setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    if (bind(socket.get(), at.raw(), at.raw_length())) return steps.report(-errno);
    steps.report(SocketAddress::local_of(socket.get())->port());
    steps.await();
    int64_t before = monotonic_ns();
    int failed = listen(socket.get(), 16) ? errno : 0;
    steps.report(failed ? -failed : monotonic_ns() - before);
    for (;;) {
        steps.await();
        Fd client = accept_soon(socket.get());
        steps.report(client ? SocketAddress::remote_of(client.get())->port() : -1);
        if (client) (void)!write(client.get(), "hello", 5);
    }
}

// Children must be made before it: they are the scope.
class ListenWorld {
  public:
    explicit ListenWorld(std::vector<pid_t> children) {
        // The held thread keeps its processor busy, so the agent must not be waiting for the same one, nor behind whatever
        // else runs on its own.
        pin(getpid(), 0);
        sched_param first{1};
        EXPECT_EQ(sched_setscheduler(0, SCHED_FIFO, &first), 0) << "needs root";
        for (pid_t child : children) pin(child, 1);
        Scope scope;
        scope.trees = children;
        auto made = ChannelPrograms::start(scope, [](const cg_event&) {});
        EXPECT_TRUE(made.ok()) << made.error().text() << " (needs root)";
        if (!made) return;
        channels = std::move(made).value();
        auto loaded = ListenPrograms::start(*channels, scope, [this](const cg_listen_event& event) { heard(event); });
        EXPECT_TRUE(loaded.ok()) << loaded.error().text();
        if (!loaded) return;
        programs = std::move(loaded).value();
        steering = std::make_unique<Steering>(
            *programs, Steering::Events{[this](std::shared_ptr<NetworkNamespace> opened) { space = std::move(opened); },
                                        [this](uint32_t) { space.reset(); }});
        // As the agent does: what a first steering needs of the kernel may take longer than a hold while one lasts.
        EXPECT_TRUE(steering->prepare().ok());
        programs->enable_holds(true);
    }
    ~ListenWorld() {
        space.reset();
        steering.reset();
        programs.reset();
        channels.reset();
        sched_param other{};
        sched_setscheduler(0, SCHED_OTHER, &other);
        cpu_set_t all;
        memset(&all, 0xff, sizeof(all));
        sched_setaffinity(0, sizeof(all), &all);
    }
    // Takes events in until it comes true; false after two seconds.
    bool hears_until(const std::function<bool()>& holds) {
        int64_t deadline = monotonic_ns() + kSlowness * int64_t{2'000'000'000};
        while (!holds()) {
            if (monotonic_ns() > deadline) return false;
            pollfd waiting{channels->ring_fd(), POLLIN, 0};
            ::poll(&waiting, 1, 1);
            channels->poll();
        }
        return true;
    }
    static Listener listener_of(const cg_listen_event& event) {
        return {event.cookie, event.address, (event.flags & CG_LISTENER_DUAL) != 0, static_cast<pid_t>(event.tgid),
                static_cast<pid_t>(event.tid)};
    }
    // Tells a server to listen, steers it and lets it go.
    void listen_and_steer(Stepper& server) {
        server.go();
        EXPECT_TRUE(hears_until([&] { return server.has_reported(); }));
        EXPECT_GE(server.report(), 0);
    }
    // A connection that the kernel gave to the agent.
    Fd accept_steered(int family) { return space ? accept_soon(space->listener(family)) : Fd(); }

    std::unique_ptr<ChannelPrograms> channels;
    std::unique_ptr<ListenPrograms> programs;
    std::unique_ptr<Steering> steering;
    std::shared_ptr<NetworkNamespace> space;
    std::vector<cg_listen_event> events;
    // What the agent does while a thread is held; the default steers.
    std::function<void(const cg_listen_event&)> while_held = [this](const cg_listen_event& event) {
        Status done = steering->steer(listener_of(event));
        EXPECT_TRUE(done.ok()) << done.error().text();
        channels->release(event.tid);
    };

  private:
    void heard(const cg_listen_event& event) {
        events.push_back(event);
        if (event.kind == CG_EVENT_LISTENER_GONE) return steering->removed(event.cookie);
        while_held(event);
    }
    static void pin(pid_t pid, unsigned which) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(which % sysconf(_SC_NPROCESSORS_ONLN), &one);
        sched_setaffinity(pid, sizeof(one), &one);
    }
};

}  // namespace callgate
