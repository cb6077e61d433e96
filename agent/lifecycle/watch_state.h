// The watcher's own state and decisions; see watcher.h. Everything here belongs to its thread, but the counters.
#pragma once
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>

#include "audit/record_id.h"
#include "base/pulse.h"
#include "jsonrpc/classify.h"
#include "kernel/scope_cgroups.h"
#include "lifecycle/gone_channels.h"
#include "lifecycle/watcher.h"
#include "restart/begun_takeover.h"

namespace callgate {

// The last take-overs' durations, from the server's read (or the decision to stop it) to running again.
class Durations {
  public:
    void add(int64_t nanoseconds);
    Watcher::Figures figures() const;  // only the percentiles are set

  private:
    static constexpr size_t kKept = 4096;
    mutable std::mutex mutex_;
    std::vector<uint32_t> microseconds_;
    size_t next_ = 0;
};

struct Watcher::State {
    // A channel whose reads are looked at: a policy names its reader by a pattern, or nobody knows who that is.
    struct Candidate {
        ServerIdentity server;  // of a program that has ended: empty
        PolicyStore::Match match;
        cg_channel_key output{};
        int reads = 0;
        bool released = false;  // was taken over once, and found to speak another protocol
    };
    struct Session {
        std::string id;
        std::vector<pid_t> pids;  // processes that were given the replacement; their later forks are not listed
        cg_channel_key input{}, output{}, new_input{}, new_output{};
        ServerIdentity server;
        PolicyStore::Match match;
        bool has(pid_t pid) const { return std::find(pids.begin(), pids.end(), pid) != pids.end(); }
    };
    using ByChannel = std::unordered_map<cg_channel_key, std::string, ChannelKeyHash>;

    Options options;
    Events events;
    std::unique_ptr<ChannelPrograms> programs;
    std::unique_ptr<ScopeCgroups> cgroups;  // in their maps
    std::unique_ptr<ListenWatch> listeners;
    std::unique_ptr<EarlierConnections> earlier;
    std::unique_ptr<UnixServers> unix_servers;
    std::shared_ptr<const Policy> for_unnamed;  // null where such servers are left alone
    TakeoverHelp help;
    Fd wake;
    // Events in the order of the kernel. A held thread is asked to stop and let go as soon as its event is seen,
    // whatever else is going on: it then waits in its stop, at no cost, until its turn comes.
    struct Work {
        cg_event event;
        StoppedThread thread;          // of a read, or of a listen(2) that has waited long
        std::optional<Error> refused;  // why it could not be stopped
        int64_t not_before_ns = 0;     // monotonic: when its turn comes at the earliest
        // The thread of the read has gone on with what nobody has judged, and no event of the kernel's says so.
        void went_on() {
            event.kind = CG_EVENT_EXPIRED;
            event.hold.state = CG_EXPIRED;
        }
    };
    // One half of the processors each; see Watcher::run().
    struct Half {
        std::thread thread;
        cpu_set_t processors;
        Fd nudge;  // readable when there is something to do for this half
        Pulse pulse;
        struct Started {
            cg_event event;
            int64_t heard_ns;
        };
        std::deque<Started> programs_started;  // guarded by `hearing`
        // Who stops a thread must also let it go: so the other half puts nothing in. Guarded by `hearing`.
        std::deque<Work> work;
    };
    static constexpr int kHalves = 2;
    Half halves[kHalves];
    static thread_local int own_half;  // of the calling thread
    std::mutex turn;                   // held by the thread that works; guards everything below that has no lock of its own
    std::mutex hearing;                // held by the thread that takes events in: `caught`, `wanted`, and the order of events
    std::atomic<bool> stopping{false};
    std::atomic<bool> taking{true};
    std::atomic<bool> has_scanned{false};
    std::mutex mutex;
    std::vector<std::function<void()>> commands;
    std::vector<HandBackJob> jobs;
    Durations durations;
    std::atomic<uint64_t> identified{0}, taken{0}, failed{0}, released{0}, late_reads{0}, expired{0}, left_out{0}, exits_held{0},
        exits_unheld{0}, exits_expired{0};

    // Events for which there was no room in a queue of ours.
    struct LeftOut {
        std::atomic<uint64_t> programs{0}, unseen{0}, expired{0};
        uint64_t sum() const { return programs + unseen + expired; }
    } left;
    uint64_t events_lost = 0;                    // that are known of
    std::unordered_map<pid_t, cg_event> caught;  // by threads that we were stopping already
    // Reads that a take-over wants to have before their turn. Each half takes back those of the threads it has stopped.
    struct WantedReads {
        pid_t pid = 0;  // 0: none are wanted
        cg_channel_key channel{};
        std::vector<ReadPiece> pieces;
        int under_way = 0;
        bool is_of(const Work& work) const;
    };
    WantedReads wanted;

    std::unordered_map<cg_channel_key, Candidate, ChannelKeyHash> candidates;
    GoneChannels gone_candidates;
    static constexpr size_t kOrphansAtLeast = 1024;
    size_t orphans_due = kOrphansAtLeast;  // they are looked for when there are so many candidates
    bool swap_unwatched = false;           // of the take-over under way: there was no room for a mark
    std::unordered_map<std::string, Session> sessions;
    ByChannel by_original, by_replacement;
    std::unordered_map<pid_t, std::string> governed;  // sessions, by the processes whose end is to be held
    MessageParser parser;
    RecordIdMaker ids;

    std::string new_id();
    void post(std::function<void()> command);
    void run_commands();
    void hold_as_needed();
    void run_jobs();

    std::unique_lock<std::mutex> hear();  // locks `hearing`
    void listen();                        // takes the kernel's events in
    void on_event(const cg_event& event);
    void stop_overdue();
    void watch();  // what each thread does until the stop
    void wait(std::chrono::nanoseconds limit, int commands_fd = -1);
    void nudge(int half);
    void leave_to_other_half(const cg_event& event);
    void disturb_other_half();
    std::optional<cg_event> next_program();
    static bool comes_after_some(const Work& work, const std::deque<Work>& others);
    std::optional<Work> next_work();
    std::vector<ReadPiece> take_back_waiting(pid_t pid, const cg_channel_key& channel);
    void take_back_wanted();
    void put_in(Work next);  // at the end of this half's work
    void tell_again(const cg_event& event);
    void work_on(Work work);
    void try_to_decide(const cg_event& event, const std::function<void()>& decide);
    void report_undecided(const cg_event& event, std::string problem);
    void turn_once();                                    // listens, then works on everything that waits
    void take_turn(std::unique_lock<std::mutex>& held);  // goes on listening while the other thread works
    void let_go_of_stopped();
    void on_exec(const cg_event& event);
    void on_input_out_of_reach(pid_t pid, ServerIdentity server);
    void on_read(Work work);
    void on_unjudged(const cg_event& event);
    bool was_in_time(StoppedThread& thread) const;
    bool is_of_ours(const cg_event& event) const;
    bool seize_exiting(const cg_event& event);
    void on_exiting(const cg_event& event);
    void govern(const std::string& session_id, pid_t pid);
    void ungovern(const Session& session);
    void scan();
    void find_what_was_missed();
    void follow_cgroups();
    void forget_what_is_gone();
    void forget_orphans();
    EarlierConnections::Events events_of_earlier_connections();
    UnixServers::Help help_for_unix_servers();

    PolicyStore::Match find_policy(ServerIdentity& server);
    bool names_port(uint16_t port) const;
    bool names_address() const;
    // Some part of the policy's match is about the program, not only about who runs it: then the server is taken over
    // when the program starts. Otherwise its bytes must show first that it is an MCP server at all.
    static bool names_a_program(const Policy& policy) { return policy.match().is_certain() || !policy.match().command.empty(); }
    // What stands between a candidate and its session.
    struct Plan {
        pid_t pid = 0;
        cg_channel_key input{}, output{};
        Opening::Start start = Opening::Start::fresh;
        int64_t since_ns = 0;  // monotonic
        std::string remark;
        std::optional<PeerIdentity> client;  // where it is not who started the server
    };
    // `thread`: already asked to stop, or empty: then the first of the process is.
    void take(const Plan& plan, StoppedThread thread, ServerIdentity server, const PolicyStore::Match& match);
    bool join(Session& session, pid_t pid, const TakenEnds& ends);
    void take_forks(const Plan& plan, const std::vector<pid_t>& forks);
    Result<TakenEnds> stop_and_take(const Plan& plan, StoppedThread& thread, decltype(TakeoverRequest::begins) begins);
    std::shared_ptr<Vault::Entry> keep_begun(BegunTakeover begun, const TakenEnds& ends);
    void report_blind(pid_t pid, ServerIdentity server, const PolicyStore::Match& match, std::string reason);
    void forget_session(const std::string& id, bool released_alive);
    void watch_candidate(const cg_channel_key& input, uint32_t kind, pid_t pid, Candidate candidate);
    void leave_alone(const cg_channel_key& channel);
    void forget_channel(const cg_channel_key& channel, pid_t made_by);
};

}  // namespace callgate
