#include "control/server.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "base/clock.h"
#include "control/connection.h"
#include "control/listener.h"

namespace callgate {
namespace {

// The listener stays readable while descriptors are short: not to be polled in a tight loop.
constexpr int kNoDescriptorsPauseMs = 50;

}  // namespace

struct ControlServer::State {
    State(ControlListener bound, Fd stop_event, std::vector<std::string> known, Handler answer)
        : listener(std::move(bound)), stop(std::move(stop_event)), verbs(std::move(known)), handler(std::move(answer)) {}

    void run();
    void accept_clients(int64_t now_ns);
    int timeout_ms(int64_t now_ns) const;

    ControlListener listener;
    Fd stop;  // eventfd
    const std::vector<std::string> verbs;
    const Handler handler;
    std::vector<ControlConnection> clients;
    std::thread thread;
};

int ControlServer::State::timeout_ms(int64_t now_ns) const {
    if (clients.empty()) return -1;
    int64_t deadline_ns = INT64_MAX;
    for (const ControlConnection& client : clients) {
        if (client.is_ready()) return 0;
        deadline_ns = std::min(deadline_ns, client.idle_deadline_ns());
    }
    return static_cast<int>(std::max<int64_t>(deadline_ns - now_ns, 0) / 1'000'000) + 1;
}

void ControlServer::State::accept_clients(int64_t now_ns) {
    while (clients.size() < kControlClientsMax) {
        Fd fd = Fd::adopt(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!fd && (errno == EMFILE || errno == ENFILE)) ::poll(nullptr, 0, kNoDescriptorsPauseMs);
        if (!fd) return;
        clients.emplace_back(std::move(fd), now_ns);
    }
}

void ControlServer::State::run() {
    std::vector<pollfd> waiting;
    while (true) {
        waiting = {{stop.get(), POLLIN, 0}, {listener.fd(), POLLIN, 0}};
        if (clients.size() >= kControlClientsMax) waiting[1].fd = -1;
        for (const ControlConnection& client : clients) waiting.push_back({client.fd(), client.events(), 0});
        ::poll(waiting.data(), waiting.size(), timeout_ms(monotonic_ns()));
        if (waiting[0].revents != 0) return;
        const int64_t now_ns = monotonic_ns();
        for (size_t i = 0; i < clients.size(); ++i) {
            // One request each per turn, so that nobody's many requests delay another's one.
            if (waiting[i + 2].revents != 0 || clients[i].is_ready()) clients[i].advance(verbs, handler, now_ns);
        }
        std::erase_if(clients, [now_ns](const ControlConnection& client) { return client.is_finished(now_ns); });
        if (waiting[1].revents != 0) accept_clients(now_ns);
    }
}

ControlServer::ControlServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<ControlServer>> ControlServer::start(const std::string& path, std::vector<std::string> verbs,
                                                            Handler handler) {
    ControlListener listener = TRY(ControlListener::bind(path));
    Fd stop = Fd::adopt(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stop) return Error::system("eventfd", "", errno);
    auto state = std::make_unique<State>(std::move(listener), std::move(stop), std::move(verbs), std::move(handler));
    State* running = state.get();
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    state->thread = std::thread([running] { running->run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(state->thread.native_handle(), "cg-control");
    return std::unique_ptr<ControlServer>(new ControlServer(std::move(state)));
}

ControlServer::~ControlServer() {
    const uint64_t one = 1;
    [[maybe_unused]] ssize_t ignored = ::write(state_->stop.get(), &one, sizeof(one));
    state_->thread.join();
}

}  // namespace callgate
