// SocketAddress: an IPv4 or IPv6 address and port, as sockets give and take it (ip(7), ipv6(7)).
//
// An IPv4-mapped address (::ffff:127.0.0.1) of an IPv6 socket is kept as what it is, IPv4, so one server has one
// address whatever kind of socket it has.
//
//   SocketAddress::local_of(fd)->text()  ->  "127.0.0.1:3000", "[::1]:3000"
#pragma once
#include <netinet/in.h>

#include <cstring>
#include <optional>
#include <string>

#include "wire.h"

// Global like the types themselves, so that argument-dependent look-up finds them.
inline bool operator==(const cg_address& a, const cg_address& b) { return memcmp(&a, &b, sizeof(a)) == 0; }

namespace callgate {

struct AddressHash {
    size_t operator()(const cg_address& address) const {
        uint64_t words[3];
        static_assert(sizeof(words) == sizeof(address));
        memcpy(words, &address, sizeof(words));
        uint64_t hash = 0;
        for (uint64_t word : words) hash = (hash ^ word) * 0x9e3779b97f4a7c15ull, hash ^= hash >> 32;
        return hash;
    }
};

class SocketAddress {
  public:
    SocketAddress() = default;
    static SocketAddress of(const sockaddr_storage& storage);
    static SocketAddress of(const cg_address& address);
    // Empty where the socket is none of IPv4 or IPv6, or not connected.
    static std::optional<SocketAddress> local_of(int fd);
    static std::optional<SocketAddress> remote_of(int fd);

    int family() const { return storage_.ss_family; }
    uint16_t port() const;
    SocketAddress with_port(uint16_t port) const;
    const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage_); }
    socklen_t raw_length() const { return family() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6); }
    cg_address in_namespace(uint32_t netns) const;
    bool is_loopback() const;
    // Into a key's field of 16 bytes: IPv4 in the first four.
    void bytes(uint8_t (&into)[16]) const;
    std::string text() const;       // with the port
    std::string host_text() const;  // without

  private:
    sockaddr_storage storage_{};
};

// The wildcard address with the same port; what a listener may have instead of the exact one.
cg_address any_address(const cg_address& address);
bool is_any(const cg_address& address);
std::string text_of(const cg_address& address);

}  // namespace callgate
