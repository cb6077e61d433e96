// UnixServers: servers that listen on an AF_UNIX socket bound to a file, and the connections that they accept.
//
// Nothing can be put between a client and such a listener, so each connection is taken over when the server first reads
// from it, as a server on stdio is: the server goes on with a replacement, and whoever it asked for its peer when it accepted
// has answered truly.
//
//   listen(2) ──► held ──► which policy? ──► the file's connections are watched, let go
//   first read of a connection ──► held ──► taken over ──► HTTP: a gate on the loop
//                                                    └─► lines of JSON: a session as on stdio
//
// Connections from before the agent are taken over at their next request. A listener that a server got from another program
// is found when the server first reads something that may be a request; a program that gets one connection as its standard
// input (inetd) is taken over when it first reads it. Belongs to whoever has the watcher's turn.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "kernel/channel_programs.h"
#include "kernel/process_sockets.h"
#include "lifecycle/gone_channels.h"
#include "lifecycle/listen_watch.h"
#include "takeover/takeover.h"

namespace callgate {

struct UnixListener {
    std::string path;
    uint64_t file_inode = 0;
    cg_channel_key socket{};  // that listens; all zero where its process has none
    ServerIdentity server;
    PolicyStore::Match match;
    bool adopted = false;  // it listened before the agent was there
};

struct UnixConnection {
    std::shared_ptr<const UnixListener> listener;
    Fd client, server;             // connected, blocking mode
    cg_peer peer{};                // SO_PEERCRED of the client
    std::string unread;            // what the server has read of it, to be judged
    cg_channel_key replacement{};  // what the server has now
};

class UnixServers {
  public:
    struct Events {
        std::function<void(std::shared_ptr<const UnixListener>)> governed;
        std::function<void(std::shared_ptr<const UnixListener>)> gone;
        std::function<void(UnixConnection)> connection;
        // A connection from before the agent was closed: what was read could hide a message.
        std::function<void(std::shared_ptr<const UnixListener>)> cut;
    };
    // What the watcher does for it.
    struct Help {
        std::function<PolicyStore::Match(ServerIdentity&)> find_policy;
        const TakeoverHelp& takeover;
        // A connection that carries messages on lines.
        std::function<void(const cg_event&, StoppedThread, const UnixListener&, const cg_peer&)> take_lines;
        std::function<void(pid_t, const UnixListener&, std::string reason)> report_blind;
    };
    UnixServers(ChannelPrograms& channels, Help help, Events events)
        : channels_(channels), help_(std::move(help)), events_(std::move(events)) {}

    // What listens already.
    void scan(const Scope& scope, const std::function<void()>& between);
    void on_listen(const cg_event& event);
    // A held read of a connection; the thread goes on when `thread` ends. `refused`: why it could not be stopped.
    void on_read(const cg_event& event, StoppedThread thread, const std::optional<Error>& refused);
    void on_unjudged(const cg_event& event);
    // A program starts, which a policy names, with a connection that some listener has accepted. False: it is no such one.
    bool on_exec(const cg_event& event, const ServerIdentity& server, const PolicyStore::Match& match);
    // Reads of this channel come here.
    bool follows(const cg_channel_key& channel) const { return earlier_.count(channel) || inherited_.count(channel); }
    // Now and then: forgets listeners and connections that nobody has any more.
    void forget_what_is_gone();

  private:
    std::shared_ptr<const UnixListener> listener_of(const cg_event& event);
    std::shared_ptr<const UnixListener> decide(const cg_event& event, const BoundUnixSocket& socket);
    std::shared_ptr<const UnixListener> look_at(pid_t pid, const BoundUnixSocket& socket, bool adopted);
    void say(const cg_event& event, uint64_t file_inode, cg_channel_state state);
    void pass(const cg_event& event);
    void follow(const cg_event& event, const std::string& bytes);
    void prune();

    ChannelPrograms& channels_;
    Help help_;
    Events events_;
    std::unordered_map<uint64_t, std::shared_ptr<const UnixListener>> listeners_;  // by file
    std::unordered_map<cg_channel_key, std::string, ChannelKeyHash> earlier_;      // with the last bytes that passed
    GoneChannels gone_;
    std::unordered_map<cg_channel_key, std::shared_ptr<const UnixListener>, ChannelKeyHash> inherited_;
    size_t prune_at_ = kPruneAtLeast;
    int64_t next_prune_ns_ = 0;
    static constexpr size_t kPruneAtLeast = 256;
};

}  // namespace callgate
