// LocalPorts: the ports from which the agent connects to servers in one network namespace, each in turn.
//
// The agent ends such a connection before the server does, so its port stays taken for a minute (TIME_WAIT, RFC 9293 section
// 3.6.1). Did it bind to "any port", none would be left after some 28,000 connections in that minute, for anybody on the
// host. SO_REUSEPORT lets the same user, and nobody else, have such a port again; for the same server after a second where
// the connection is on the loopback interface (tcp_tw_reuse, ip-sysctl), after a minute elsewhere. So a few ports are used in
// turn, more only as these are not enough; and they are the same ones for the next agent.
//
// Odd ports come first, as the kernel itself does it for bind(); it prefers even ones for connect().
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernel/socket_address.h"

namespace callgate {

class LocalPorts {
  public:
    // The texts of net.ipv4.ip_local_port_range ("32768\t60999") and ip_local_reserved_ports ("8080,9148-9150" or nothing),
    // as ip-sysctl has them. What cannot be read is the kernel's default.
    LocalPorts(std::string_view range, std::string_view reserved);

    enum class Choice { in_turn, fresh };
    // Binds the socket to a port of the server's own address, other than its own: the next in turn, or one that has not had its
    // turn yet (while there are such). EADDRINUSE: none was free among the next thousand.
    Result<uint16_t> bind(int socket, const SocketAddress& server, Choice choice = Choice::in_turn);

    size_t size() const { return ports_.size(); }
    size_t in_turn() const { return in_turn_; }
    static constexpr size_t kInTurnAtFirst = 2048;

  private:
    uint16_t next_in_turn();
    std::vector<uint16_t> ports_;  // the first `in_turn_` of them are used so far
    size_t in_turn_ = 0, next_ = 0;
};

}  // namespace callgate
