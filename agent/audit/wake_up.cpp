#include "audit/wake_up.h"

#include <linux/membarrier.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>

namespace callgate {
namespace {

bool membarrier(int command) { return ::syscall(SYS_membarrier, command, 0, 0) == 0; }

}  // namespace

void WakeUp::prepare_process() { (void)membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED); }

Result<WakeUp> WakeUp::create() {
    Fd event = Fd::adopt(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event) return Error::system("eventfd", "", errno);
    return WakeUp(std::move(event), membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED));
}

void WakeUp::announce() {
    is_asleep_.store(true, std::memory_order_seq_cst);
    if (has_barrier_ && !membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) has_barrier_ = false;
}

void WakeUp::sleep(int timeout_ms) {
    if (!has_barrier_ && (timeout_ms < 0 || timeout_ms > kLookAgainMs)) timeout_ms = kLookAgainMs;
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
