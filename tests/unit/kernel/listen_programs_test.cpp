// Needs root: loads the programs and listens in children.
#include "kernel/listen_programs.h"

#include <bpf/bpf.h>

#include "listen_world.h"

namespace callgate {
namespace {

TEST(ListenPrograms, ListenWaitsAndNobodyGetsInBefore) {
    Stepper server([](Stepper::Steps& steps) { serve(steps, loopback(AF_INET)); });
    auto port = static_cast<uint16_t>(server.report());
    ListenWorld world({server.pid()});
    int refused = -1;
    bool was_over = true;
    world.while_held = [&](const cg_listen_event& event) {
        EXPECT_TRUE(event.flags & CG_LISTENER_HELD);
        EXPECT_EQ(text_of(event.address), "127.0.0.1:" + std::to_string(port));
        EXPECT_EQ(pid_t(event.tgid), server.pid());
        refused = connect_to(stream_socket(AF_INET), loopback(AF_INET, port));
        was_over = server.has_reported();
        world.channels->release(event.tid);
    };
    server.go();
    ASSERT_TRUE(world.hears_until([&] { return server.has_reported(); }));
    EXPECT_GT(server.report(), 0);
    if (world.channels->counters()[CG_COUNT_LISTEN_EXPIRED] == 0) {
        EXPECT_EQ(refused, ECONNREFUSED);
        EXPECT_FALSE(was_over);
    }
    EXPECT_EQ(connect_to(stream_socket(AF_INET), loopback(AF_INET, port)), 0);
    KernelCounters counters = world.channels->counters();
    EXPECT_EQ(counters[CG_COUNT_LISTEN_SEEN], 1u);
    EXPECT_EQ(counters[CG_COUNT_LISTEN_SENT], 1u);
}

TEST(ListenPrograms, TheWaitIsBounded) {
    Stepper server([](Stepper::Steps& steps) { serve(steps, loopback(AF_INET)); });
    server.report();
    ListenWorld world({server.pid()});
    world.while_held = [](const cg_listen_event&) {};
    server.go();
    ASSERT_TRUE(world.hears_until([&] { return server.has_reported(); }));
    long took_ns = server.report();
    EXPECT_GE(took_ns, static_cast<long>(kHoldNanoseconds));
    EXPECT_LT(took_ns, 1'000'000'000);
    EXPECT_EQ(world.channels->counters()[CG_COUNT_LISTEN_EXPIRED], 1u);
    auto hold = world.channels->hold_of(server.pid());
    ASSERT_TRUE(hold);
    EXPECT_EQ(hold->state, uint64_t(CG_EXPIRED));
}

// A host that keeps the agent's processor from running for tens of milliseconds is nothing unusual.
TEST(ListenPrograms, ASlowAnswerIsStillWaitedFor) {
    Stepper server([](Stepper::Steps& steps) { serve(steps, loopback(AF_INET)); });
    server.report();
    ListenWorld world({server.pid()});
    world.while_held = [&](const cg_listen_event& event) {
        for (int64_t end = monotonic_ns() + static_cast<int64_t>(kHoldNanoseconds) / 3; monotonic_ns() < end;) {
        }
        EXPECT_TRUE(world.steering->steer(ListenWorld::listener_of(event)).ok());
        auto hold = world.channels->hold_of(server.pid());
        ASSERT_TRUE(hold);
        EXPECT_EQ(hold->state, uint64_t(CG_HOLDING));
        world.channels->release(event.tid);
    };
    world.listen_and_steer(server);
    EXPECT_EQ(world.channels->counters()[CG_COUNT_LISTEN_EXPIRED], 0u);
}

TEST(ListenPrograms, OutOfScopeIsNotHeard) {
    Stepper inside([](Stepper::Steps&) {});
    Stepper outside([](Stepper::Steps& steps) { serve(steps, loopback(AF_INET)); });
    outside.report();
    ListenWorld world({inside.pid()});
    outside.go();
    ASSERT_TRUE(world.hears_until([&] { return outside.has_reported(); }));
    EXPECT_TRUE(world.events.empty());
    EXPECT_EQ(world.channels->counters()[CG_COUNT_LISTEN_SEEN], 0u);
}

// Neither heard of nor held, until it is another program, or what was said of it does not hold any more.
TEST(ListenPrograms, AProgramThatMayListenIsNotAskedAboutAgain) {
    Stepper server([](Stepper::Steps& steps) {
        std::vector<Fd> sockets;
        for (;;) {
            steps.await();
            sockets.push_back(stream_socket(AF_INET));
            const SocketAddress at = loopback(AF_INET);
            if (bind(sockets.back().get(), at.raw(), at.raw_length())) _exit(1);
            steps.report(listen(sockets.back().get(), 1) ? -errno : 0);
        }
    });
    ListenWorld world({server.pid()});
    world.while_held = [&](const cg_listen_event& event) { world.channels->release(event.tid); };
    world.listen_and_steer(server);
    ASSERT_EQ(world.events.size(), 1u);
    world.programs->let_listen(world.events[0]);
    world.listen_and_steer(server);
    EXPECT_EQ(world.events.size(), 1u);
    world.programs->forget_unnamed();
    world.listen_and_steer(server);
    ASSERT_EQ(world.events.size(), 2u);
    cg_listen_event other = world.events[1];
    ++other.program.exec_id;
    world.programs->let_listen(other);
    world.listen_and_steer(server);
    EXPECT_EQ(world.events.size(), 3u);
    world.programs->let_listen(world.events[0]);
    world.listen_and_steer(server);
    EXPECT_EQ(world.events.size(), 4u) << "an answer from before";
}

TEST(ListenPrograms, AListenerThatGoesIsReported) {
    Stepper server([](Stepper::Steps& steps) { serve(steps, loopback(AF_INET6)); });
    server.report();
    ListenWorld world({server.pid()});
    world.while_held = [&](const cg_listen_event& event) { world.channels->release(event.tid); };
    world.listen_and_steer(server);
    server.end();
    ASSERT_TRUE(world.hears_until([&] { return world.events.size() == 2; }));
    EXPECT_EQ(world.events[1].kind, uint32_t(CG_EVENT_LISTENER_GONE));
    EXPECT_EQ(world.events[1].cookie, world.events[0].cookie);
    EXPECT_TRUE(world.events[1].address == world.events[0].address);
    EXPECT_EQ(world.channels->counters()[CG_COUNT_GONE_SENT], 1u);
}

TEST(ListenPrograms, WithoutBindThePortIsAskedForAfterwards) {
    Stepper server([](Stepper::Steps& steps) {
        Fd socket = stream_socket(AF_INET);
        steps.report(0);
        steps.await();
        steps.report(listen(socket.get(), 16));
        steps.await();
    });
    server.report();
    ListenWorld world({server.pid()});
    world.while_held = [](const cg_listen_event& event) {
        EXPECT_FALSE(event.flags & CG_LISTENER_HELD);
        EXPECT_EQ(event.address.port, 0u);
    };
    server.go();
    ASSERT_TRUE(world.hears_until([&] { return world.events.size() == 1; }));
    EXPECT_EQ(server.report(), 0);
    auto found = listening_sockets(server.pid());
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].cookie, world.events[0].cookie);
    EXPECT_EQ(found[0].address.netns, world.events[0].address.netns);
    EXPECT_NE(found[0].address.port, 0u);
}

// Over IPv4, over IPv6, and over IPv4 inside an IPv6 socket, as Node connects.
TEST(ListenPrograms, KnowsWhoConnects) {
    Stepper server([](Stepper::Steps& steps) { serve(steps, wildcard(AF_INET6)); });
    auto port = static_cast<uint16_t>(server.report());
    Stepper client([port](Stepper::Steps& steps) {
        cg_address mapped{0, AF_INET6, port, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}};
        sockaddr_in6 inside{};
        inside.sin6_family = AF_INET6;
        inside.sin6_port = htons(port);
        memcpy(&inside.sin6_addr, mapped.bytes, 16);
        if (setuid(65534)) _exit(1);
        Fd sockets[] = {stream_socket(AF_INET), stream_socket(AF_INET6), stream_socket(AF_INET6)};
        steps.await();
        steps.report(connect_to(sockets[0], loopback(AF_INET, port)));
        steps.report(connect_to(sockets[1], loopback(AF_INET6, port)));
        steps.report(::connect(sockets[2].get(), reinterpret_cast<sockaddr*>(&inside), sizeof(inside)));
        steps.await();
    });
    ListenWorld world({server.pid()});
    world.listen_and_steer(server);
    client.go();
    for (int family : {AF_INET, AF_INET6, AF_INET}) {
        EXPECT_EQ(client.report(), 0);
        Fd accepted = world.accept_steered(family);
        ASSERT_TRUE(accepted.valid());
        auto from = SocketAddress::remote_of(accepted.get()), to = SocketAddress::local_of(accepted.get());
        EXPECT_FALSE(world.programs->take_peer(world.space->inode() + 1, *from, *to)) << "of another namespace";
        auto peer = world.programs->take_peer(world.space->inode(), *from, *to);
        ASSERT_TRUE(peer) << from->text() << " -> " << to->text();
        EXPECT_EQ(pid_t(peer->tgid), client.pid());
        EXPECT_GT(peer->start_ns, world.events[0].program.start_ns) << "it was started after the server";
        EXPECT_EQ(peer->uid, 65534u);
        EXPECT_FALSE(world.programs->take_peer(world.space->inode(), *from, *to)) << "given out once";
    }
}

}  // namespace
}  // namespace callgate
