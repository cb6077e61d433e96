#include "lifecycle/http_acceptor.h"

#include <poll.h>
#include <sys/socket.h>

namespace callgate {
namespace {

using namespace std::chrono_literals;

// How long accepting pauses when the agent has no descriptor left.
constexpr auto kAcceptPause = 10ms;

}  // namespace

HttpAcceptor::HttpAcceptor(Ring& ring, std::shared_ptr<NetworkNamespace> space, int listener, Events events)
    : ring_(ring), space_(std::move(space)), listener_(listener), events_(std::move(events)) {}

HttpAcceptor::HttpAcceptor(Ring& ring, std::shared_ptr<NetworkNamespace> space, Fd listener, Events events)
    : ring_(ring), space_(std::move(space)), own_(std::move(listener)), listener_(own_.get()), events_(std::move(events)) {}

void HttpAcceptor::start() {
    if (open_ && !armed_) arm();
}

void HttpAcceptor::stop() {
    open_ = false;
    if (armed_) ring_.cancel(this);
}

void HttpAcceptor::take_queued() {
    for (pollfd waiting{listener_, POLLIN, 0}; ::poll(&waiting, 1, 0) == 1;) {
        Fd client = Fd::adopt(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
        if (!client) break;
        events_.accepted(std::move(client), space_);
    }
}

void HttpAcceptor::complete(int result, std::string_view) {
    armed_ = false;
    if (result >= 0) events_.accepted(Fd::adopt(result), space_);
    if (!open_) return events_.over();
    if (result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -ENOBUFS) {
        return ring_.after(kAcceptPause, [this, alive = std::weak_ptr<bool>(alive_)] {
            if (!alive.expired()) start();
        });
    }
    arm();
}

void HttpAcceptor::arm() {
    armed_ = true;
    ring_.accept(listener_, this);
}

}  // namespace callgate
