#include "kernel/socket_address.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

cg_address made(uint16_t family, uint16_t port, std::initializer_list<uint8_t> bytes) {
    cg_address address{};
    address.family = family;
    address.port = port;
    std::copy(bytes.begin(), bytes.end(), address.bytes);
    return address;
}

TEST(SocketAddress, TextAndBack) {
    cg_address four = made(AF_INET, 3000, {127, 0, 0, 1});
    EXPECT_EQ(text_of(four), "127.0.0.1:3000");
    EXPECT_TRUE(SocketAddress::of(four).in_namespace(0) == four);
    cg_address six = made(AF_INET6, 65535, {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7});
    EXPECT_EQ(text_of(six), "[fe80::7]:65535");
    EXPECT_EQ(SocketAddress::of(six).host_text(), "fe80::7");
    EXPECT_TRUE(SocketAddress::of(six).in_namespace(0) == six);
    EXPECT_EQ(SocketAddress::of(six).with_port(1).text(), "[fe80::7]:1");
}

TEST(SocketAddress, MappedIsFour) {
    sockaddr_storage storage{};
    auto& six = reinterpret_cast<sockaddr_in6&>(storage);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(80);
    six.sin6_addr.s6_addr[10] = six.sin6_addr.s6_addr[11] = 0xff;
    six.sin6_addr.s6_addr[12] = 10;
    six.sin6_addr.s6_addr[15] = 2;
    EXPECT_EQ(SocketAddress::of(storage).text(), "10.0.0.2:80");
    EXPECT_EQ(SocketAddress::of(storage).family(), AF_INET);
}

TEST(SocketAddress, Loopback) {
    EXPECT_TRUE(SocketAddress::of(made(AF_INET, 1, {127, 9, 8, 7})).is_loopback());
    EXPECT_FALSE(SocketAddress::of(made(AF_INET, 1, {128, 0, 0, 1})).is_loopback());
    EXPECT_TRUE(SocketAddress::of(made(AF_INET6, 1, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})).is_loopback());
    EXPECT_FALSE(SocketAddress::of(made(AF_INET6, 1, {})).is_loopback());
}

TEST(SocketAddress, Any) {
    cg_address four = made(AF_INET, 3000, {10, 0, 0, 1});
    EXPECT_FALSE(is_any(four));
    EXPECT_TRUE(is_any(any_address(four)));
    EXPECT_EQ(any_address(four).port, 3000u);
    EXPECT_NE(AddressHash()(four), AddressHash()(any_address(four)));
}

}  // namespace
}  // namespace callgate
