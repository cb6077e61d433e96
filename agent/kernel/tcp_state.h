// What the kernel knows of one TCP connection (tcp(7), TCP_INFO), seen from the end that is asked.
#pragma once
#include <cstdint>
#include <optional>

namespace callgate {

struct TcpState {
    bool established = false;  // neither end has said that it is done
    uint64_t bytes_sent = 0, bytes_received = 0;
    uint64_t unread = 0;  // of those received
    // Nothing was received since something was last sent, but for what is still unread. Where a request and its answer
    // come within one tick of the kernel's clock they count as in that order.
    bool answered = true;
};

// Empty where it is no TCP socket.
std::optional<TcpState> tcp_state(int fd);

}  // namespace callgate
