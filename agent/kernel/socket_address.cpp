#include "kernel/socket_address.h"

#include <arpa/inet.h>
#include <sys/socket.h>

namespace callgate {
namespace {

const sockaddr_in& four(const sockaddr_storage& storage) { return reinterpret_cast<const sockaddr_in&>(storage); }
const sockaddr_in6& six(const sockaddr_storage& storage) { return reinterpret_cast<const sockaddr_in6&>(storage); }
sockaddr_in& four(sockaddr_storage& storage) { return reinterpret_cast<sockaddr_in&>(storage); }
sockaddr_in6& six(sockaddr_storage& storage) { return reinterpret_cast<sockaddr_in6&>(storage); }

std::optional<SocketAddress> ask(int (*call)(int, sockaddr*, socklen_t*), int fd) {
    sockaddr_storage storage{};
    socklen_t length = sizeof(storage);
    if (call(fd, reinterpret_cast<sockaddr*>(&storage), &length)) return std::nullopt;
    if (storage.ss_family != AF_INET && storage.ss_family != AF_INET6) return std::nullopt;
    return SocketAddress::of(storage);
}

}  // namespace

SocketAddress SocketAddress::of(const sockaddr_storage& storage) {
    SocketAddress address;
    address.storage_ = storage;
    if (storage.ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&six(storage).sin6_addr)) return address;
    address.storage_ = {};
    sockaddr_in& inner = four(address.storage_);
    inner.sin_family = AF_INET;
    inner.sin_port = six(storage).sin6_port;
    memcpy(&inner.sin_addr, six(storage).sin6_addr.s6_addr + 12, 4);
    return address;
}

SocketAddress SocketAddress::of(const cg_address& from) {
    SocketAddress address;
    address.storage_.ss_family = from.family;
    if (from.family == AF_INET) {
        four(address.storage_).sin_port = htons(from.port);
        memcpy(&four(address.storage_).sin_addr, from.bytes, 4);
    } else {
        six(address.storage_).sin6_port = htons(from.port);
        memcpy(&six(address.storage_).sin6_addr, from.bytes, 16);
    }
    return address;
}

std::optional<SocketAddress> SocketAddress::local_of(int fd) { return ask(getsockname, fd); }
std::optional<SocketAddress> SocketAddress::remote_of(int fd) { return ask(getpeername, fd); }

uint16_t SocketAddress::port() const { return ntohs(family() == AF_INET ? four(storage_).sin_port : six(storage_).sin6_port); }

SocketAddress SocketAddress::with_port(uint16_t port) const {
    SocketAddress other = *this;
    (family() == AF_INET ? four(other.storage_).sin_port : six(other.storage_).sin6_port) = htons(port);
    return other;
}

void SocketAddress::bytes(uint8_t (&into)[16]) const {
    memset(into, 0, sizeof(into));
    if (family() == AF_INET) {
        memcpy(into, &four(storage_).sin_addr, 4);
    } else {
        memcpy(into, &six(storage_).sin6_addr, 16);
    }
}

bool SocketAddress::is_loopback() const {
    if (family() == AF_INET) return ntohl(four(storage_).sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&six(storage_).sin6_addr);
}

cg_address SocketAddress::in_namespace(uint32_t netns) const {
    cg_address address{};
    address.netns = netns;
    address.family = storage_.ss_family;
    address.port = port();
    bytes(address.bytes);
    return address;
}

std::string SocketAddress::host_text() const {
    char text[INET6_ADDRSTRLEN] = "";
    uint8_t address[16];
    bytes(address);
    inet_ntop(family(), address, text, sizeof(text));
    return text;
}

std::string SocketAddress::text() const {
    std::string host = host_text();
    return (family() == AF_INET ? host : "[" + host + "]") + ":" + std::to_string(port());
}

cg_address any_address(const cg_address& address) {
    cg_address any = address;
    memset(any.bytes, 0, sizeof(any.bytes));
    return any;
}

bool is_any(const cg_address& address) { return address == any_address(address); }

std::string text_of(const cg_address& address) { return SocketAddress::of(address).text(); }

}  // namespace callgate
