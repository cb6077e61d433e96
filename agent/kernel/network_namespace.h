// NetworkNamespace: one network namespace in which servers are governed: the agent's own listeners there, the sk_lookup
// program that gives them the connections of steered addresses, and the sockets by which the agent reaches the servers.
//
// A thread that has gone into the namespace (setns(2) is per thread) makes every socket. The server sees its own address
// as its client's: 127.0.0.1 for a server on 127.0.0.1, 10.0.0.2 for one that is asked as 10.0.0.2.
//
//   auto space = TRY(NetworkNamespace::open(netns, TRY(SteerProgram::load(maps))));
//   accept(space->listener(AF_INET))         the client's connection; getsockname() is the address that it asked for
//   space->connect(that address)             the agent's own connection to the server: it passes the steering
//
// While it lives the namespace stays alive too, so it goes with the last governed listener. is_ours() may be
// called from any thread, connect() from one at a time.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/listen_programs.h"
#include "kernel/socket_address.h"

namespace callgate {

// A connection of the agent's that steering lets pass. Ends before the socket is closed: the port is then still ours.
class Exemption {
  public:
    Exemption() = default;
    // Of a map that has it, and outlives it.
    Exemption(int map, const cg_exempt& key) : map_(map), key_(key) {}
    Exemption(Exemption&& other) noexcept : map_(std::exchange(other.map_, -1)), key_(other.key_) {}
    Exemption& operator=(Exemption&& other) noexcept;
    ~Exemption() { end(); }
    void end();
    // It is somebody else's from here on, or its map goes.
    void forget() { map_ = -1; }
    std::optional<cg_exempt> key() const { return map_ < 0 ? std::nullopt : std::optional(key_); }

  private:
    int map_ = -1;
    cg_exempt key_{};
};

struct UpstreamSocket {
    Fd socket;
    bool connected = false;  // or it is being connected: writable when that is over, and SO_ERROR says how (connect(2))
    Exemption exemption;
};

// The steering program, in the kernel and not attached yet. Loading takes milliseconds, so it is done beforehand.
class SteerProgram {
  public:
    // `maps` must stay valid while it lives.
    static Result<std::unique_ptr<SteerProgram>> load(const ListenPrograms::Maps& maps);
    ~SteerProgram();
    SteerProgram(const SteerProgram&) = delete;
    SteerProgram& operator=(const SteerProgram&) = delete;
    // Where index 0 is the agent's listener for IPv4, 1 for IPv6, 2 one that nobody but this process has.
    Status set_listener(uint32_t index, int socket);
    Status attach(const Fd& netns);
    int attachment() const;  // once attached
    const ListenPrograms::Maps& maps() const { return maps_; }

  private:
    explicit SteerProgram(const ListenPrograms::Maps& maps);
    struct Skeleton;
    std::unique_ptr<Skeleton> skeleton_;
    ListenPrograms::Maps maps_;
};

class NetworkNamespace {
  public:
    static Result<std::shared_ptr<NetworkNamespace>> open(Fd netns, std::unique_ptr<SteerProgram> program);
    ~NetworkNamespace();
    NetworkNamespace(const NetworkNamespace&) = delete;
    NetworkNamespace& operator=(const NetworkNamespace&) = delete;

    uint32_t inode() const;
    // -1 where the namespace does not have that family.
    int listener(int family) const;
    // The agent's listener itself was asked for: such a connection was not steered.
    bool is_ours(const SocketAddress& local) const;
    // Does not wait.
    Result<UpstreamSocket> connect(const SocketAddress& server);
    // Copies of the attachment and of the listeners, in this order. Whoever has them, steered connections
    // wait in the listeners when this process is gone.
    Result<std::vector<Fd>> holding() const;

  private:
    NetworkNamespace();
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace callgate
