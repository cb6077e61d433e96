#include "audit/wake_up.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>

namespace callgate {

Result<WakeUp> WakeUp::create() {
    Fd event = Fd::adopt(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event) return Error::system("eventfd", "", errno);
    return WakeUp(std::move(event));
}

void WakeUp::sleep(int timeout_ms) {
    pollfd waiting = {event_.get(), POLLIN, 0};
    ::poll(&waiting, 1, timeout_ms);
    uint64_t rung = 0;
    [[maybe_unused]] ssize_t ignored = ::read(event_.get(), &rung, sizeof(rung));
}

void WakeUp::ring() {
    const uint64_t one = 1;
    [[maybe_unused]] ssize_t ignored = ::write(event_.get(), &one, sizeof(one));  // it can only be rung already
}

}  // namespace callgate
