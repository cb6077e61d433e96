// EarlierConnections: connections to governed servers that steering did not see.
//
// A server has accepted connections before the agent was there, or goes on to accept what waited then; it may have been
// given its listening socket by another program that nobody governs, or a single connection (inetd). The kernel holds the
// read that may begin a request there (bpf/readers.bpf.h), and it is found out here whether a policy names the reader.
//
//   the server has the listener   its part in the connection ends: it sees that its client has closed between two requests,
//                                 the client's end and the request are the agent's, and the connection goes on as one that
//                                 was steered, with the server asked over a new one
//   it has the connection alone   the connection is replaced behind its descriptor, as on stdio
//
//   first read of a connection ──► taken: gate
//   found at the start, or later ──► the rest of a request under way ──► passes
//                                └─► a request begins ──► taken
//                                                     └─► cut, where that could give an answer to the wrong request
//
// What a server sends by itself on a connection on which nothing more is asked (an event stream) is not seen.
// Belongs to whoever has the watcher's turn.
#pragma once
#include <atomic>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>

#include "kernel/channel_programs.h"
#include "kernel/process_sockets.h"
#include "lifecycle/gone_channels.h"
#include "lifecycle/listen_watch.h"
#include "takeover/takeover.h"

namespace callgate {

struct EarlierConnection {
    Fd client;
    uint32_t netns = 0;
    std::string unread;  // the request, to be judged
    std::string cut;     // why the connection is to be closed instead; empty where it goes on
    // More was read before, the beginning of a request perhaps, of which this would be the rest: then it is no HTTP by itself.
    bool http_only = false;
    // Of a server that has the connection alone: how it is governed, and the way to it.
    std::optional<GovernedListener> alone;
    Fd server;
    cg_channel_key replacement{};  // what the server has now
};

class EarlierConnections {
  public:
    struct Events {
        std::function<void(EarlierConnection)> taken;
        // A server that has the connection alone is sent messages on lines.
        std::function<void(const cg_event&, StoppedThread, const GovernedListener&)> take_lines;
    };
    EarlierConnections(ChannelPrograms& channels, ListenWatch& listeners, const TakeoverHelp& help, Events events)
        : channels_(channels), listeners_(listeners), help_(help), events_(std::move(events)) {}

    // Looks through all processes in scope; `between` is called after each.
    void scan(const Scope& scope, const std::function<void()>& between);
    // A held read; the thread goes on when `thread` ends. `refused`: why it could not be stopped.
    void on_read(const cg_event& event, StoppedThread thread, const std::optional<Error>& refused);
    // A read that was over before anybody could look at it, or was none that can be looked at.
    void on_unjudged(const cg_event& event);
    // To be called after each event, and soon while is_impatient(): connections go on that have all their pieces by now.
    void settle();
    bool is_impatient() const { return any_incomplete_; }
    // Another process's read of it may be on its way still.
    bool has_taken(const cg_channel_key& channel) const { return find_taken(channel) != nullptr; }
    void forget_what_is_gone();

  private:
    struct Known {
        uint32_t netns = 0;
        SocketAddress server, client;
        bool fresh = false;        // what is held is the first that was read of it
        bool answered = true;      // no request was under way when it was last looked at
        uint64_t bytes_sent = 0;   // by the server, until then
        uint64_t waited_with = 0;  // the read (its time) that was kept waiting for what comes before it
        std::string tail;          // the last bytes that passed
        std::optional<GovernedListener> alone;
    };
    using Connections = std::unordered_map<cg_channel_key, Known, ChannelKeyHash>;
    void look_at(const ConnectedSocket& socket, pid_t pid);
    Connections::iterator admit(const cg_event& event);
    static bool may_lack_its_beginning(const cg_event& event, const Known& known);
    void follow(const cg_channel_key& channel, Known& known, const std::string& bytes, uint64_t bytes_sent);
    void take(const cg_event& event, Connections::iterator found, StoppedThread& thread, EarlierConnection connection);
    std::vector<pid_t> take_from_others(const cg_event& event, std::vector<ReadPiece>& pieces);
    void on_late_read(const cg_event& event, StoppedThread thread, const Known& known);
    void give_up(const cg_channel_key& channel, const std::string& reason);
    void report(const Known& known, const std::string& reason);
    bool watch(const cg_channel_key& channel, uint32_t tgid);

    // Taken from one of several processes. Threads of the others may be held in reads of it, of which nobody has looked at
    // the bytes yet: they come before what is still to be read from it.
    struct Incomplete {
        cg_channel_key channel{};
        EarlierConnection connection;
        std::vector<ReadPiece> pieces;
        std::vector<pid_t> others;  // processes
        int64_t since_ns = 0;
    };
    // Those that were taken last: should another process still have one, its reads end there too.
    struct Taken {
        cg_channel_key channel{};
        Known known;
    };
    static constexpr size_t kTakenKept = 1024;
    void remember_taken(const cg_event& event, Known known);
    const Known* find_taken(const cg_channel_key& channel) const;

    ChannelPrograms& channels_;
    ListenWatch& listeners_;
    const TakeoverHelp& help_;
    Events events_;
    Connections known_;
    GoneChannels gone_;
    std::vector<Incomplete> incomplete_;
    std::atomic<bool> any_incomplete_{false};
    std::deque<Taken> taken_;
};

}  // namespace callgate
