#include "kernel/tcp_state.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace callgate {
namespace {

// TCP_ESTABLISHED of the kernel's include/net/tcp_states.h; <netinet/tcp.h>, which has it, has an older tcp_info.
constexpr uint8_t kEstablished = 1;

}  // namespace

std::optional<TcpState> tcp_state(int fd) {
    tcp_info info{};
    socklen_t length = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length)) return std::nullopt;
    int unread = 0;
    if (ioctl(fd, FIONREAD, &unread)) unread = 0;
    TcpState state;
    state.established = info.tcpi_state == kEstablished;
    state.bytes_sent = info.tcpi_bytes_sent;
    state.bytes_received = info.tcpi_bytes_received;
    state.unread = static_cast<uint64_t>(unread);
    if (info.tcpi_bytes_received > 0 && unread == 0)
        // Milliseconds that have passed since.
        state.answered = info.tcpi_bytes_sent > 0 && info.tcpi_last_data_recv >= info.tcpi_last_data_sent;
    return state;
}

}  // namespace callgate
