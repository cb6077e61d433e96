// The agent's side of bpf/listen.bpf.c: hears of listeners that come and go, and knows who connected.
//
// A process that calls listen(2) waits in there, at most kHoldNanoseconds, until ChannelPrograms::release(tid): its
// socket cannot be reached before. Events come from ChannelPrograms::poll(), in the kernel's order with the others.
// take_peer() may be called from any thread, everything else from the take-over threads, one at a time.
#pragma once
#include "kernel/channel_programs.h"
#include "kernel/socket_address.h"

namespace callgate {

class ListenPrograms {
  public:
    // Descriptors of the maps that steering needs; valid while this object lives.
    struct Maps {
        int steered = -1, exempt = -1, steered_ports = -1;
    };

    // Loads and attaches, sharing the maps of `channels`, which must live longer.
    static Result<std::unique_ptr<ListenPrograms>> start(ChannelPrograms& channels, const Scope& scope,
                                                         std::function<void(const cg_listen_event&)> on_event);
    ~ListenPrograms();

    void enable_holds(bool enabled);
    // The program of this event is not held or heard of when it listens again, until forget_unnamed().
    void let_listen(const cg_listen_event& event);
    void forget_unnamed();
    // A listener that was there before, so that its end is noticed.
    Status add(uint64_t cookie, const cg_listener& listener);
    // Whether its end lets its address go in the kernel. False: it has gone already.
    bool update(uint64_t cookie, const cg_listener& listener);

    // Who made this connection to a listener in that network namespace; once. A client in another namespace of this host is
    // known by its addresses, unless several have the same. Nothing: a client elsewhere, or one that connected before its
    // port was steered.
    std::optional<cg_peer> take_peer(uint32_t netns, const SocketAddress& client, const SocketAddress& server) const;
    // Who made a connection from before, where it was found out otherwise.
    void add_peer(uint32_t netns, const SocketAddress& client, const SocketAddress& server, const cg_peer& peer);
    Maps maps() const;

  private:
    ListenPrograms();
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace callgate
