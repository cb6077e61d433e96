// Watcher: the take-over thread. Hears from the kernel which programs start with a pipe or socket for input and who
// reads from one, finds out what they are, and takes over those that a policy names.
//
// Two moments lead to a take-over. When the policy names a program (package, exe_sha256, command) the server is taken
// over as soon as that program starts, long before it reads. When it names only a user, every read of the channel is
// held until its bytes have been looked at, and the first that is MCP is taken back and the server taken over.
// The kernel's hold covers both: a server that is faster than this thread waits.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "enforce/opening.h"
#include "kernel/channel_programs.h"
#include "lifecycle/earlier_connections.h"
#include "lifecycle/governed_until.h"
#include "lifecycle/listen_watch.h"
#include "lifecycle/unix_servers.h"
#include "policy/store.h"
#include "restart/session_state.h"
#include "restart/vault.h"
#include "session/identity.h"
#include "takeover/takeover.h"

namespace callgate {

struct TakenServer {
    std::string session_id;
    ServerIdentity server;
    PeerIdentity client;
    std::shared_ptr<const Policy> policy;
    TakenEnds ends;
    Opening::Start start = Opening::Start::fresh;
    bool certain = true;
    std::string remark;                   // what the session record should say besides: "the first read was not judged: …"
    std::shared_ptr<Vault::Entry> begun;  // to be let go once the session is kept itself; null where nobody keeps anything
};

struct BlindServer {
    std::string session_id;
    ServerIdentity server;
    PeerIdentity client;
    std::shared_ptr<const Policy> policy;
    std::string reason;
    bool killed = false;
    std::string listen;  // of a listener that is not governed, or was not at once; empty for a server on stdio
};

// A session that an earlier agent took over, and this one goes on with.
struct ResumedServer {
    WatchedSession watched;
    ChannelKind input_kind = ChannelKind::pipe;
    ServerIdentity server;
    PolicyStore::Match match;
};

// What a hand-back needs of a session; the descriptors stay the session's.
struct HandBackJob {
    std::string session_id;
    HandBack back;
    std::function<void(std::string problem)> done;  // empty problem: handed back; called on the watcher's thread
};

class Watcher {
  public:
    struct Events {  // called on the watcher's thread
        std::function<void(TakenServer)> taken;
        std::function<void(std::string session_id, std::string bytes)> late_bytes;
        std::function<void(BlindServer)> blind;
        std::function<void(std::string session_id, ServerIdentity process)> joined;  // it reads the same input
        std::function<void(std::string session_id)> superseded;
        std::function<void(std::string session_id, pid_t pid, int64_t since_ns)> exiting;  // seized; see ServerExits
        std::function<void(uint64_t events)> lost;  // which the kernel had no room for; what runs has been looked at again
        ListenWatch::Events listeners;
        std::function<void(EarlierConnection)> earlier_connection;
        UnixServers::Events unix_servers;
    };
    struct Options {
        Scope scope;
        std::shared_ptr<const PolicyStore> policies;
        bool deny_unnamed = false;
        Vault* vault = nullptr;          // of take-overs that are under way; null where nobody keeps anything
        GovernedUntil* until = nullptr;  // outlives the watcher; null: nobody asks
    };

    // Loads and attaches the kernel's side; nothing is held or taken before run().
    static Result<std::unique_ptr<Watcher>> create(Options options, Events events);
    ~Watcher();

    // Before run(). `replacements`: what servers have in place of HTTP connections that go on.
    void resume(std::vector<ResumedServer> sessions, const std::vector<cg_channel_key>& replacements);
    // Before run(): a connection of the agent's own to a server, from the agent before.
    Exemption exempt(const cg_exempt& connection) const;
    // Starts the thread; returns when what runs already has been looked at and taken over.
    void run();
    // No new servers from here on; what is held is let go, and no connection is steered any more where they are released,
    // when `done` is called, on the watcher's thread. Hand-backs still work.
    void stop_taking(ListenWatch::Steered how, std::function<void()> done);
    // What is known of each session then, for the agent that goes on with it; after stop_taking(). On the watcher's thread.
    void list_sessions(std::function<void(std::vector<WatchedSession>)> done);
    void stop();  // ends the thread

    // From any thread: for servers that start from now on. What is governed stays so.
    void use_policies(std::shared_ptr<const PolicyStore> policies);
    // From any thread. The server that is handed back goes on without us, and stays watched.
    void hand_back(HandBackJob job);
    // Of a session that has ended otherwise.
    void session_ended(std::string session_id);

    // From any thread: such a connection is over.
    void replacement_gone(const cg_channel_key& replacement) const;

    // Who made a steered connection; once.
    std::optional<cg_peer> take_peer(uint32_t netns, const SocketAddress& client, const SocketAddress& server) const;

    struct Figures {
        KernelCounters kernel;
        uint64_t left_out = 0;   // ChannelPrograms::left_out
        bool on_events = false;  // ChannelPrograms::on_events
        uint64_t identified = 0, taken = 0, failed = 0, released = 0, late_reads = 0, expired = 0;
        uint64_t exits_held = 0, exits_unheld = 0;  // unheld: may have been seen before the last of the output
        uint64_t exits_expired = 0;                 // of the unheld: the hold ran out before it was answered
        uint64_t takeover_p50_us = 0, takeover_p99_us = 0;
    };
    Figures figures() const;

    // False where a thread of the watcher has not got on for so many calls of this, by one thread, in a row. Each gets on at
    // least every second, in the longest of its works, too.
    bool is_alive(int calls_max);

  private:
    Watcher();
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace callgate
