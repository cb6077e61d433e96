#include "kernel/local_ports.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>

#include "listen_world.h"

namespace callgate {
namespace {

size_t ports_in(std::string_view range, std::string_view reserved = "\n") { return LocalPorts(range, reserved).size(); }

TEST(LocalPorts, AreThoseOfTheNamespaceWithoutTheReservedOnes) {
    EXPECT_EQ(ports_in("40000\t40007\n"), 8u);
    EXPECT_EQ(ports_in("40000\t40007\n", "40001,40003-40005,50000\n"), 4u);
    EXPECT_EQ(ports_in("40000\t40000\n"), 1u);
}

TEST(LocalPorts, AreTheKernelsDefaultWhereNothingCanBeRead) {
    for (std::string_view range : {"", "\n", "x", "40000", "50000 40000", "0 10", "40000 70000", "99999999999 1"})
        EXPECT_EQ(ports_in(range), 28232u) << range;
}

TEST(LocalPorts, AreFewUnlessMoreAreNeeded) {
    LocalPorts ports("20000\t29999\n", "");
    SocketAddress server = loopback(AF_INET, 4321);
    std::set<uint16_t> seen;
    for (size_t i = 0; i < 2 * LocalPorts::kInTurnAtFirst; ++i) {
        auto port = ports.bind(stream_socket(AF_INET).get(), server);
        ASSERT_TRUE(port.ok()) << port.error().text();
        seen.insert(*port);
    }
    EXPECT_EQ(seen.size(), LocalPorts::kInTurnAtFirst);
    auto fresh = ports.bind(stream_socket(AF_INET).get(), server, LocalPorts::Choice::fresh);
    ASSERT_TRUE(fresh.ok());
    EXPECT_FALSE(seen.count(*fresh));
    EXPECT_EQ(ports.in_turn(), LocalPorts::kInTurnAtFirst + 1);
}

TEST(LocalPorts, OddOnesAreUsedFirst) {
    LocalPorts ports("20000\t24999\n", "");
    for (int i = 0; i < 10; ++i) {
        Fd socket = stream_socket(AF_INET);
        auto port = ports.bind(socket.get(), loopback(AF_INET, 4321));
        ASSERT_TRUE(port.ok()) << port.error().text();
        EXPECT_EQ(*port % 2, 1);
        EXPECT_EQ(SocketAddress::local_of(socket.get())->text(), "127.0.0.1:" + std::to_string(*port));
    }
}

// Only its own: what another socket holds without SO_REUSEPORT is passed over, and where all are held so it says so.
TEST(LocalPorts, SkipWhatOthersHold) {
    std::vector<Fd> others;
    for (uint16_t port : {20001, 20003}) {
        others.push_back(stream_socket(AF_INET));
        SocketAddress at = loopback(AF_INET, port);
        ASSERT_EQ(::bind(others.back().get(), at.raw(), at.raw_length()), 0);
    }
    LocalPorts odd("20001\t20003\n", "20002"), all("20000\t20003\n", "");
    Fd socket = stream_socket(AF_INET);
    auto port = odd.bind(socket.get(), loopback(AF_INET, 4321));
    ASSERT_FALSE(port.ok());
    EXPECT_EQ(port.error().code, EADDRINUSE);
    port = all.bind(socket.get(), loopback(AF_INET, 4321));
    ASSERT_TRUE(port.ok()) << port.error().text();
    EXPECT_EQ(*port % 2, 0);
}

// Even where the server lets others bind its port: the socket would be connected with itself.
TEST(LocalPorts, AreNeverTheServersOwn) {
    LocalPorts two("20101\t20103\n", "20102"), one("20101\t20101\n", "");
    for (int i = 0; i < 4; ++i) {
        auto port = two.bind(stream_socket(AF_INET).get(), loopback(AF_INET, 20101));
        ASSERT_TRUE(port.ok()) << port.error().text();
        EXPECT_EQ(*port, 20103);
    }
    auto none = one.bind(stream_socket(AF_INET).get(), loopback(AF_INET, 20101));
    ASSERT_FALSE(none.ok());
    EXPECT_EQ(none.error().code, EADDRINUSE);
}

// Connections through every port there is, all ended from this side a moment ago. 0, or the number of the one that failed.
long connect_through_all(LocalPorts& ports, const Fd& listener, const SocketAddress& server) {
    for (size_t i = 0; i < ports.size(); ++i) {
        Fd socket = stream_socket(AF_INET);
        if (!ports.bind(socket.get(), server) || connect_to(socket, server)) return static_cast<long>(i) + 1;
        Fd accepted = accept_soon(listener.get());
        socket.reset();
        char byte;
        if (read(accepted.get(), &byte, 1) != 0) return -1;
    }
    return 0;
}

TEST(LocalPorts, OfAPredecessorCanBeHadAgain) {
    Stepper child([](Stepper::Steps& steps) {
        if (unshare(CLONE_NEWNET) || !raise_loopback()) _exit(1);
        SocketAddress server = loopback(AF_INET, 4321);
        Fd listener = stream_socket(AF_INET);
        if (::bind(listener.get(), server.raw(), server.raw_length()) || listen(listener.get(), 16)) _exit(1);
        LocalPorts before("40000\t40007\n", "");
        steps.report(connect_through_all(before, listener, server));
        std::this_thread::sleep_for(std::chrono::milliseconds(2100));  // tcp_tw_reuse
        LocalPorts after("40000\t40007\n", "");
        steps.report(connect_through_all(after, listener, server));
    });
    EXPECT_EQ(child.report(), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    EXPECT_EQ(child.report(), 0);
}

}  // namespace
}  // namespace callgate
