// The agent's side of bpf/channel.bpf.c: loads it, says what is watched, hears who reads, lets held threads go.
//
// Belongs to one thread (the take-over thread) from start() on; counters() and counter() may be called from any.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/proc.h"
#include "kernel/scope.h"
#include "wire.h"

namespace callgate {

struct KernelCounters {
    uint64_t values[CG_COUNT_MAX]{};
    uint64_t operator[](cg_counter which) const { return values[which]; }
};

class ChannelPrograms {
  public:
    using OnEvent = std::function<void(const cg_event&)>;

    // Loads and attaches; nothing is held before enable_holds(). `on_event` is called from poll().
    static Result<std::unique_ptr<ChannelPrograms>> start(const Scope& scope, OnEvent on_event);
    ~ChannelPrograms();

    // File descriptor that is readable while events wait; poll() hands them out and returns how many.
    int ring_fd() const;
    int poll();

    void enable_holds(bool enabled);
    Status watch(const cg_channel_key& channel, const cg_channel& value);
    void forget(const cg_channel_key& channel);
    std::optional<cg_channel> find(const cg_channel_key& channel) const;

    // From then on whoever reads a connection that it has accepted is held and asked about (bpf/readers.bpf.h).
    void watch_accepted(bool enabled);
    // What becomes of the next such reads of that process, of connections to that listener.
    void decide_reader(const cg_reader_key& key, const cg_reader& reader);
    void forget_reader(const cg_reader_key& key);
    // This connection is left alone, whatever its reader is.
    void pass(const cg_channel_key& channel);
    // The calling thread is number `thread` (below CG_AGENT_THREADS) of those that answer holds.
    void answered_from_here(int thread);
    // Where that thread sleeps: on this processor.
    void sleeps_here(int thread);

    // This process's exit waits for release(), at most kHoldNanoseconds; it is forgotten when it ends.
    void govern(pid_t pid);
    void ungovern(pid_t pid);

    std::optional<cg_hold> hold_of(pid_t tid) const;
    // Ends the wait: the thread goes on (into a ptrace stop, where one was asked for). Removes its entry.
    void release(pid_t tid);
    // Of reads that went on long ago, and of which nobody was told.
    void forget_expired_holds();

    KernelCounters counters() const;
    uint64_t counter(cg_counter which) const;
    // Who belongs to a tree already, though nobody saw the fork: in scope from now on.
    void look_through_trees(const Scope& scope);

    // How often the kernel has left a program out (waiting.h): so many starts, reads or forks were not seen, if any was one.
    // By a thread with CAP_BPF only.
    uint64_t left_out() const;

    // Perf events run what waits (waiting.h).
    bool on_events() const;
    // For the other BPF objects (listen_programs.h), which share these and send their events here.
    struct SharedMaps {
        int holds, scope_pids, scope_cgroups, events, counters, judged_connections, unheld_listens;
    };
    SharedMaps shared_maps() const;
    void on_listen(std::function<void(const cg_listen_event&)> on_event);

  private:
    ChannelPrograms();
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace callgate
