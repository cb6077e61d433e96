// Steering: which listeners have their connections sent to the agent, counted by address, and the network namespaces
// where that is so.
//
// Several listeners may share an address (SO_REUSEPORT, a master and its restarted self): the address is steered until
// the last of them has gone. A `[::]` listener that takes IPv4 too has two addresses. When a listener goes the kernel
// lets its address go at once (bpf/listen.bpf.c); removed() then says the same here, for good.
// Belongs to the take-over threads, one at a time.
#pragma once
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "kernel/listen_programs.h"
#include "kernel/network_namespace.h"

namespace callgate {

struct Listener {
    uint64_t cookie = 0;
    cg_address address{};
    bool dual = false;
    pid_t pid = 0, tid = 0;     // who listens
    uint32_t bound_device = 0;  // of SO_BINDTODEVICE
    // Its own, and 0.0.0.0 where it is dual.
    std::vector<cg_address> addresses() const;
};

class Steering {
  public:
    struct Events {
        std::function<void(std::shared_ptr<NetworkNamespace>)> opened;  // its listeners are to be accepted from
        std::function<void(uint32_t inode)> closed;                     // no governed listener is left there
    };
    Steering(ListenPrograms& programs, Events events);

    // Does beforehand what would take long while a thread is held: opens the agent's own namespace, where most servers are,
    // and loads the program for the next one. To be called when nobody waits.
    Status prepare();
    // From the return on, every new connection to the listener's addresses comes to the agent.
    // ErrorKind::gone: it has ended meanwhile.
    Status steer(const Listener& listener);
    // The listener goes on without us.
    void release(uint64_t cookie);
    // It has gone; the kernel has said so.
    void removed(uint64_t cookie);
    void release_all();
    bool is_steered(uint64_t cookie) const { return listeners_.count(cookie); }
    // Connections to this address are.
    bool covers(const cg_address& address) const { return counts_.count(address) || counts_.count(any_address(address)); }
    // The agent's own connection, as the server sees it.
    bool is_exempt(const cg_address& server, uint16_t client_port) const;
    size_t size() const { return listeners_.size(); }

  private:
    Result<std::shared_ptr<NetworkNamespace>> space_of(const Listener& listener);
    Result<std::shared_ptr<NetworkNamespace>> open_space(Fd netns);
    void write_count(const cg_address& address);
    void write_port(uint16_t port);
    void forget(uint64_t cookie);
    void close_if_unused(uint32_t netns);

    ListenPrograms& programs_;
    Events events_;
    Fd own_;
    uint32_t own_netns_;  // stays open: the agent keeps it alive anyway
    std::unique_ptr<SteerProgram> next_;
    std::unordered_map<uint64_t, Listener> listeners_;
    std::unordered_map<cg_address, uint32_t, AddressHash> counts_;
    std::unordered_map<uint16_t, uint32_t> ports_;
    std::unordered_map<uint32_t, std::shared_ptr<NetworkNamespace>> spaces_;
    std::unordered_map<uint32_t, uint32_t> used_;  // listeners by namespace
};

}  // namespace callgate
