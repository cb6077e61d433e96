// EarlierConnections: connections to governed servers that were made before their listener was steered.
//
// A server that the agent finds running has accepted connections already. They are looked for once the listener is
// steered, and their reads are watched. The first read that begins a request ends the server's part in the connection:
// the server sees that its client has closed between two requests, the client's end and the request are the agent's, and
// the connection goes on as one that was steered, with the server asked over a new one.
//
//   found ──► the rest of a request under way ──► passes
//         └─► a request begins ──► taken: gate, new connection to the server
//                              └─► cut, where that could give an answer to the wrong request
//
// What a server sends by itself on a connection on which nothing more is asked (an event stream) is not seen.
// Belongs to whoever has the watcher's turn.
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <unordered_map>

#include "kernel/channel_programs.h"
#include "kernel/process_sockets.h"
#include "lifecycle/listen_watch.h"
#include "takeover/takeover.h"

namespace callgate {

struct EarlierConnection {
    Fd client;
    uint32_t netns = 0;
    std::string unread;  // the request, to be judged
    std::string cut;     // why the connection is to be closed instead; empty where it goes on
};

class EarlierConnections {
  public:
    EarlierConnections(ChannelPrograms& channels, ListenWatch& listeners, const TakeoverHelp& help,
                       std::function<void(EarlierConnection)> taken)
        : channels_(channels), listeners_(listeners), help_(help), taken_(std::move(taken)) {}

    // Looks through all processes in scope; `between` is called after each. Does it some more times in the first
    // seconds, when due(): what waited to be accepted while the listener was being steered has no descriptor yet.
    void scan(const Scope& scope, const std::function<void()>& between);
    bool due() const;  // from any thread, as the next
    // Until it is due; at most `limit`.
    std::chrono::milliseconds patience(std::chrono::milliseconds limit) const;

    // A held read; the thread goes on when `thread` ends. `refused`: why it could not be stopped.
    void on_read(const cg_event& event, StoppedThread thread, const std::optional<Error>& refused);
    // A held read that was let go before anybody could look at it.
    void on_expired(const cg_event& event);

  private:
    struct Known {
        uint32_t netns = 0;
        SocketAddress server, client;
        bool answered = true;     // no request was under way when it was found
        uint64_t bytes_sent = 0;  // by the server, until then
        std::string tail;         // the last bytes that passed
    };
    void look_at(const ConnectedSocket& socket, pid_t pid);
    bool answer_is_due(pid_t pid, int fd, const Known& known) const;
    void report_blind(const cg_channel_key& channel, const std::string& reason);

    ChannelPrograms& channels_;
    ListenWatch& listeners_;
    const TakeoverHelp& help_;
    std::function<void(EarlierConnection)> taken_;
    std::unordered_map<cg_channel_key, Known, ChannelKeyHash> known_;
    int scans_ = 0;
    static constexpr int64_t kNever = INT64_MAX;
    std::atomic<int64_t> next_scan_ns_{kNever};
};

}  // namespace callgate
