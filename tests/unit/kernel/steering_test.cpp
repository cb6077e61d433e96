// Needs root: steers the connections of children that listen.
#include "kernel/steering.h"

#include <bpf/bpf.h>
#include <fcntl.h>

#include <chrono>
#include <thread>

#include "listen_world.h"

namespace callgate {
namespace {

struct Shape {
    const char* name;
    SocketAddress at;
    bool only_six;
    std::vector<int> families;  // over which it can be reached
};

class SteeringShapes : public ::testing::TestWithParam<Shape> {};

INSTANTIATE_TEST_SUITE_P(Listeners, SteeringShapes,
                         ::testing::Values(Shape{"LoopbackFour", loopback(AF_INET), false, {AF_INET}},
                                           Shape{"AnyFour", wildcard(AF_INET), false, {AF_INET}},
                                           Shape{"LoopbackSix", loopback(AF_INET6), false, {AF_INET6}},
                                           Shape{"AnySixOnly", wildcard(AF_INET6), true, {AF_INET6}},
                                           Shape{"Dual", wildcard(AF_INET6), false, {AF_INET6, AF_INET}}),
                         [](const auto& each) { return each.param.name; });

TEST_P(SteeringShapes, ConnectionsComeToTheAgentAndTheAgentReachesTheServer) {
    const Shape& shape = GetParam();
    Stepper server([&](Stepper::Steps& steps) { serve(steps, shape.at, shape.only_six); });
    auto port = static_cast<uint16_t>(server.report());
    ListenWorld world({server.pid()});
    world.listen_and_steer(server);
    for (int family : shape.families) {
        SocketAddress to = loopback(family, port);
        Fd client = stream_socket(family);
        ASSERT_EQ(connect_to(client, to), 0);
        Fd accepted = world.accept_steered(family);
        ASSERT_TRUE(accepted.valid());
        auto asked_for = SocketAddress::local_of(accepted.get());
        EXPECT_EQ(asked_for->text(), to.text());
        EXPECT_FALSE(world.space->is_ours(*asked_for));

        auto upstream = world.space->connect(*asked_for);
        ASSERT_TRUE(upstream.ok()) << upstream.error().text();
        server.go();
        EXPECT_EQ(server.report(), SocketAddress::local_of(upstream->socket.get())->port());
        EXPECT_EQ(SocketAddress::local_of(upstream->socket.get())->host_text(), to.host_text());
        char text[5];
        EXPECT_EQ(recv(upstream->socket.get(), text, 5, MSG_WAITALL), 5);
    }
}

TEST(Steering, AnExemptionEndsWithItsConnection) {
    Stepper server([](Stepper::Steps& steps) { serve(steps, loopback(AF_INET)); });
    auto port = static_cast<uint16_t>(server.report());
    ListenWorld world({server.pid()});
    world.listen_and_steer(server);
    SocketAddress to = loopback(AF_INET, port);
    auto upstream = world.space->connect(to);
    ASSERT_TRUE(upstream.ok());
    auto from = SocketAddress::local_of(upstream->socket.get());
    linger no_time_wait{1, 0};
    ASSERT_EQ(setsockopt(upstream->socket.get(), SOL_SOCKET, SO_LINGER, &no_time_wait, sizeof(no_time_wait)), 0);
    upstream = UpstreamSocket();
    Fd next = stream_socket(AF_INET);
    ASSERT_EQ(bind(next.get(), from->raw(), from->raw_length()), 0);
    ASSERT_EQ(connect_to(next, to), 0);
    EXPECT_TRUE(world.accept_steered(AF_INET).valid()) << "the agent would meet itself";
}

TEST(Steering, AskingForTheAgentItselfIsNoticed) {
    Stepper server([](Stepper::Steps& steps) { serve(steps, loopback(AF_INET)); });
    server.report();
    ListenWorld world({server.pid()});
    world.listen_and_steer(server);
    Fd client = stream_socket(AF_INET);
    ASSERT_EQ(connect_to(client, *SocketAddress::local_of(world.space->listener(AF_INET))), 0);
    Fd accepted = world.accept_steered(AF_INET);
    ASSERT_TRUE(accepted.valid());
    EXPECT_TRUE(world.space->is_ours(*SocketAddress::local_of(accepted.get())));
}

TEST(Steering, ReleasedListenersAreReachedDirectly) {
    Stepper server([](Stepper::Steps& steps) { serve(steps, wildcard(AF_INET6)); });
    auto port = static_cast<uint16_t>(server.report());
    ListenWorld world({server.pid()});
    world.listen_and_steer(server);
    EXPECT_EQ(world.steering->size(), 1u);
    world.steering->release_all();
    EXPECT_EQ(world.steering->size(), 0u);
    for (int family : {AF_INET, AF_INET6}) {
        Fd client = stream_socket(family);
        ASSERT_EQ(connect_to(client, loopback(family, port)), 0);
        server.go();
        EXPECT_EQ(server.report(), SocketAddress::local_of(client.get())->port());
    }
}

TEST(Steering, TheLastOfSeveralListenersLetsTheAddressGo) {
    Stepper first([](Stepper::Steps& steps) { serve(steps, loopback(AF_INET), false, true); });
    auto port = static_cast<uint16_t>(first.report());
    Stepper second([port](Stepper::Steps& steps) { serve(steps, loopback(AF_INET, port), false, true); });
    EXPECT_EQ(second.report(), port);
    ListenWorld world({first.pid(), second.pid()});
    world.listen_and_steer(first);
    world.listen_and_steer(second);
    EXPECT_EQ(world.steering->size(), 2u);
    first.end();
    EXPECT_TRUE(world.hears_until([&] { return world.steering->size() == 1; }));
    Fd client = stream_socket(AF_INET);
    ASSERT_EQ(connect_to(client, loopback(AF_INET, port)), 0);
    EXPECT_TRUE(world.accept_steered(AF_INET).valid());
    second.end();
    // Nobody has taken the event in yet: the kernel has let the address go by itself.
    EXPECT_EQ(connect_to(stream_socket(AF_INET), loopback(AF_INET, port)), ECONNREFUSED);
    EXPECT_TRUE(world.hears_until([&] { return world.steering->size() == 0; }));
}

TEST(Steering, AListenerThatComesBackIsSteeredAgain) {
    Stepper server([](Stepper::Steps& steps) { serve(steps, loopback(AF_INET)); });
    auto port = static_cast<uint16_t>(server.report());
    Stepper again([port](Stepper::Steps& steps) {
        steps.await();
        serve(steps, loopback(AF_INET, port));
    });
    ListenWorld world({server.pid(), again.pid()});
    world.listen_and_steer(server);
    server.end();
    EXPECT_TRUE(world.hears_until([&] { return world.steering->size() == 0; }));
    again.go();
    EXPECT_EQ(again.report(), port);
    world.listen_and_steer(again);
    Fd client = stream_socket(AF_INET);
    ASSERT_EQ(connect_to(client, loopback(AF_INET, port)), 0);
    EXPECT_TRUE(world.accept_steered(AF_INET).valid());
}

TEST(Steering, OneThatHasGoneMeanwhileIsNotSteered) {
    Stepper server([](Stepper::Steps& steps) { serve(steps, loopback(AF_INET)); });
    auto port = static_cast<uint16_t>(server.report());
    ListenWorld world({server.pid()});
    world.while_held = [&](const cg_listen_event& event) { world.channels->release(event.tid); };
    world.listen_and_steer(server);
    server.end();
    ASSERT_TRUE(world.hears_until([&] { return world.events.size() == 2; }));
    Status steered = world.steering->steer(ListenWorld::listener_of(world.events[0]));
    ASSERT_FALSE(steered.ok());
    EXPECT_EQ(steered.error().kind, ErrorKind::gone);
    EXPECT_EQ(connect_to(stream_socket(AF_INET), loopback(AF_INET, port)), ECONNREFUSED);
}

TEST(Steering, PreparingTwiceOpensTheAgentsNamespaceOnce) {
    Stepper server([](Stepper::Steps& steps) { serve(steps, loopback(AF_INET)); });
    auto port = static_cast<uint16_t>(server.report());
    ListenWorld world({server.pid()});
    ASSERT_TRUE(world.steering->prepare().ok());
    auto prepared = world.space;
    ASSERT_TRUE(prepared);
    ASSERT_TRUE(world.steering->prepare().ok());
    world.listen_and_steer(server);
    EXPECT_EQ(world.space, prepared);
    Fd client = stream_socket(AF_INET);
    ASSERT_EQ(connect_to(client, loopback(AF_INET, port)), 0);
    EXPECT_TRUE(world.accept_steered(AF_INET).valid());
}

// The agent ends each connection first, and more of them in a minute than the namespace has ports.
TEST(Steering, PortsToServersDoNotRunOut) {
    constexpr int kPorts = 8;
    Stepper server([](Stepper::Steps& steps) {
        if (unshare(CLONE_NEWNET) || !raise_loopback()) _exit(1);
        Fd range = Fd::adopt(open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC));
        if (write(range.get(), "40000 40007", 11) != 11) _exit(1);
        serve(steps, loopback(AF_INET, 4321));
    });
    ASSERT_EQ(server.report(), 4321);
    ListenWorld world({server.pid()});
    world.listen_and_steer(server);
    ASSERT_TRUE(world.space);
    SocketAddress to = loopback(AF_INET, 4321);
    for (int i = 0; i < 3 * kPorts; ++i) {
        // Sooner no port can be had again: tcp_tw_reuse.
        if (i && i % kPorts == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2100));
        auto upstream = world.space->connect(to);
        ASSERT_TRUE(upstream.ok()) << i << ": " << upstream.error().text();
        ASSERT_EQ(shutdown(upstream->socket.get(), SHUT_WR), 0);
        server.go();
        EXPECT_EQ(server.report(), SocketAddress::local_of(upstream->socket.get())->port());
        char text[6];
        EXPECT_EQ(recv(upstream->socket.get(), text, sizeof(text), MSG_WAITALL), 5) << "and then the end";
    }
}

// Server and client share a network namespace that is not the agent's.
TEST(Steering, AnotherNetworkNamespace) {
    Stepper server([](Stepper::Steps& steps) {
        if (unshare(CLONE_NEWNET) || !raise_loopback()) _exit(1);
        serve(steps, loopback(AF_INET, 4321));
    });
    ASSERT_EQ(server.report(), 4321);
    Fd netns = Fd::adopt(open(proc_path(server.pid(), "ns/net").c_str(), O_RDONLY | O_CLOEXEC));
    Stepper client([&](Stepper::Steps& steps) {
        if (setns(netns.get(), CLONE_NEWNET)) _exit(1);
        Fd socket = stream_socket(AF_INET);
        steps.report(connect_to(socket, loopback(AF_INET, 4321)));
        steps.await();
        char text[5];
        steps.report(recv(socket.get(), text, 5, MSG_WAITALL));
    });
    EXPECT_EQ(client.report(), ECONNREFUSED);
    client.end();
    ListenWorld world({server.pid()});
    world.listen_and_steer(server);
    ASSERT_TRUE(world.space);
    EXPECT_EQ(world.space->inode(), namespace_inode(netns));
    EXPECT_EQ(connect_to(stream_socket(AF_INET), loopback(AF_INET, 4321)), ECONNREFUSED) << "steered in one namespace only";

    Stepper other([&](Stepper::Steps& steps) {
        if (setns(netns.get(), CLONE_NEWNET)) _exit(1);
        Fd socket = stream_socket(AF_INET);
        steps.await();
        steps.report(connect_to(socket, loopback(AF_INET, 4321)));
    });
    other.go();
    EXPECT_EQ(other.report(), 0);
    Fd accepted = world.accept_steered(AF_INET);
    ASSERT_TRUE(accepted.valid());
    auto to = SocketAddress::local_of(accepted.get()), from = SocketAddress::remote_of(accepted.get());
    auto peer = world.programs->take_peer(world.space->inode(), *from, *to);
    ASSERT_TRUE(peer);
    EXPECT_EQ(pid_t(peer->tgid), other.pid());
    auto upstream = world.space->connect(*to);
    ASSERT_TRUE(upstream.ok()) << upstream.error().text();
    server.go();
    EXPECT_EQ(server.report(), SocketAddress::local_of(upstream->socket.get())->port());
    upstream = UpstreamSocket();
    accepted.reset();

    // With the last listener the namespace is left: no program stays in it.
    auto programs_there = [&] {
        uint32_t programs = 16, ids[16];
        return bpf_prog_query(netns.get(), BPF_SK_LOOKUP, 0, nullptr, ids, &programs) ? -1 : int(programs);
    };
    EXPECT_EQ(programs_there(), 1);
    other.end();  // a fork of ours holds what we hold
    server.end();
    ASSERT_TRUE(world.hears_until([&] { return !world.space; }));
    EXPECT_TRUE(comes_true([&] { return programs_there() == 0; }));
}

}  // namespace
}  // namespace callgate
