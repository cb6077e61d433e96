// ListenWatch: which listening sockets are governed. The part of the watcher that hears of listen(2).
//
// Whoever calls listen() waits in the kernel, at most kHoldNanoseconds, while it is found out who it is and which policy
// names it; then its address is steered, or it is let go. Where that takes too long (a program whose hash a policy names
// must be read first) the address is steered undecided: its connections wait in the agent instead of the listener.
//
// heard() and steer_overdue() belong to whoever hears the kernel's events, work() to whoever has the turn; see watcher.cpp.
#pragma once
#include <deque>
#include <mutex>
#include <unordered_map>

#include "audit/record_id.h"
#include "kernel/steering.h"
#include "policy/store.h"
#include "session/identity.h"

namespace callgate {

struct GovernedListener {
    Listener listener;
    ServerIdentity server;  // its process
    std::shared_ptr<const Policy> policy;
    bool adopted = false;  // it listened before the agent was there
};

struct BlindListener {
    std::string id;  // of the record
    GovernedListener governed;
    std::string reason;
    bool killed = false;
};

class ListenWatch {
  public:
    // In this order for one listener: undecided (or not), then governed or let_go, then gone. Called on whatever thread
    // finds out, before the first connection can come.
    struct Events {
        Steering::Events space;
        std::function<void(Listener)> undecided;
        std::function<void(GovernedListener)> governed;
        std::function<void(uint64_t cookie)> let_go;
        std::function<void(uint64_t cookie)> gone;
        std::function<void(BlindListener)> blind;
    };
    struct Options {
        Scope scope;
        std::function<PolicyStore::Match(ServerIdentity&)> find_policy;
        // Some policy names a listener by this port, so that a process alone does not decide.
        std::function<bool(uint16_t port)> names_port;
        std::function<bool()> names_address;  // any
        // Said of a process that no policy names, where such servers are denied.
        std::shared_ptr<const Policy> for_unnamed;
    };

    static Result<std::unique_ptr<ListenWatch>> create(ChannelPrograms& channels, Options options, Events events);

    void enable_holds(bool enabled);
    // What was found out of programs that no policy named does not hold any more.
    void policies_changed();
    // What listens already.
    void scan();
    void steer_overdue();
    // Decides on everything that was heard.
    void work();
    // Something must be looked at soon though no event will say so.
    bool is_impatient();
    // Nothing more is decided, and nobody is held. `released`: every listener goes on without us, from here on.
    enum class Steered { released, kept };
    void stop(Steered how);

    std::optional<cg_peer> take_peer(uint32_t netns, const SocketAddress& client, const SocketAddress& server) const {
        return programs_->take_peer(netns, client, server);
    }

    // For connections from before (earlier_connections.h).
    bool governs_any();
    // A server's end of a connection that the agent would have got, and has not.
    bool passed_by(uint32_t netns, const SocketAddress& server, const SocketAddress& client);
    // How a connection is to be governed that was not steered, read by this process.
    struct Way {
        enum Kind { none, through_listener, to_reader } kind = none;
        bool of_this_one = false;               // none: it is so for this connection only
        std::optional<GovernedListener> alone;  // the process has no listener there
    };
    Way way_to(pid_t pid, uint32_t netns, const SocketAddress& server, const SocketAddress& client);
    // A client's end of one to a governed listener: who that is.
    void note_peer(uint32_t netns, const SocketAddress& client, const SocketAddress& server, pid_t pid);
    // A connection of the agent's own, from the agent before: what its server reads there has been judged. Any thread.
    Exemption exempt(const cg_exempt& connection) const;
    void report_blind_connection(uint32_t netns, const SocketAddress& server, std::string reason);
    void report_blind(GovernedListener governed, std::string reason);

  private:
    ListenWatch(ChannelPrograms& channels, Options options, Events events);
    struct Undecided {
        Listener listener;
        int64_t since_ns = 0;
        bool held = false;     // in the kernel, when it was heard
        bool waits = false;    // at the end of listen(), which is another hold
        bool tried = false;    // to steer it before the decision
        bool steered = false;  // so it is, and was let go
        bool late = false;     // the kernel had let it go before
    };
    // listen() without bind(): the port is looked up when the call is over.
    struct Unbound {
        cg_listen_event event;
        int64_t until_ns = 0;
    };
    void heard(const cg_listen_event& event);
    void on_listen(const cg_listen_event& event);
    void on_gone(const cg_listen_event& event);
    void look_for_ports();
    void prepare();
    bool decide(const Listener& listener, bool adopted);
    void govern(GovernedListener governed);
    void let_go(const Listener& listener);
    bool release_hold(const Undecided& undecided);

    ChannelPrograms& channels_;
    Options options_;
    Events events_;
    std::unique_ptr<ListenPrograms> programs_;
    std::mutex mutex_;  // everything below
    std::unique_ptr<Steering> steering_;
    std::deque<cg_listen_event> heard_;
    std::unordered_map<uint64_t, Undecided> undecided_;
    std::vector<Unbound> unbound_;
    std::unordered_map<uint64_t, GovernedListener> governed_;  // by cookie, those that are steered
    RecordIdMaker ids_;
    bool over_ = false;
};

}  // namespace callgate
