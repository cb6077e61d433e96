// SessionTable: every session of the agent, from take-over to its end, on the loop's thread.
//
// Says what happened in the audit log (session_start, session_joined, session_end, session_blind) and what is going on to the
// CLI.
#pragma once
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/worker.h"
#include "enforce/relay_session.h"
#include "lifecycle/config.h"
#include "lifecycle/resumed_calls.h"
#include "lifecycle/server_exits.h"
#include "lifecycle/watcher.h"
#include "restart/kept_session.h"
#include "restart/session_state.h"

namespace callgate {

// One that an earlier agent has left; `kept`: it is in the vault already.
struct LeftSession {
    SessionState state;
    std::unique_ptr<KeptSession> kept;
    bool was_killed = false;  // the agent, while it had it
    // Its take-over had just been made: it begins here.
    struct Begun {
        Opening::Start start = Opening::Start::fresh;
        bool certain = true;
        std::shared_ptr<Vault::Entry> entry;  // until the session is kept itself
    };
    std::optional<Begun> begun = std::nullopt;
    // That agent was giving it back, and so this has been done: what went wrong, empty where nothing did.
    std::optional<std::string> given_back = std::nullopt;
};

class SessionTable {
  public:
    // `worker`: gives sessions back where there is no watcher.
    SessionTable(Ring& ring, Worker& worker, AuditLog& audit, const Config& config);
    ~SessionTable();
    void use_watcher(Watcher* watcher);
    // Before any session; outlives them.
    void use_approvals(ApprovalDesk& approvals) { approvals_ = &approvals; }
    // From here on live sessions are kept there for the case that this process is killed; outlives them.
    void use_vault(Vault& vault) { vault_ = &vault; }

    void add(TakenServer taken);
    void add_blind(BlindServer blind);
    void late_bytes(const std::string& id, std::string_view bytes);
    // Another process reads the session's input, under the same policy: one session still.
    void joined(const std::string& id, const ServerIdentity& process);
    // Another process reads it, under another policy: a session of its own takes this one's place.
    void supersede(const std::string& id);
    // One of its processes ends, and has been seized for that.
    void exiting(std::string id, pid_t pid, int64_t since_ns) { exits_.add(std::move(id), pid, since_ns); }
    const ServerExits& exits() const { return exits_; }

    // From the next message on.
    void use_grants(std::shared_ptr<const GrantTable> grants) { grants_.table = std::move(grants); }
    const GrantsInForce& grants() const { return grants_; }
    PinTable& pins() { return pins_; }  // of every session of the agent, over HTTP too
    // Each session is governed from its next message on by the policy that names its server now; where none does, by the one
    // that it has.
    void use_policies(const PolicyStore& policies);
    // Hands every session back to its server, and calls `done` when none is left.
    void hand_back_all(std::chrono::milliseconds patience, std::function<void()> done);

    // Planned restart, the agent that goes (session_table_restart.cpp). No session ends: each stops where it is, and `done` is
    // called when no operation of theirs is in flight.
    void suspend_all(std::function<void()> done);
    // Then, `watched` as the watcher knows them: those that are kept stay in the vault as they are, the rest is returned with its
    // descriptors, and in the table no more.
    std::vector<SessionState> leave_unkept(const std::vector<WatchedSession>& watched);
    // The kept ones too: none goes on with the next agent. What has not stopped by now ends.
    std::vector<SessionState> leave_all();
    // The agent that comes, before its loop runs. Sessions are under the policy that names their server now, else that of the
    // same name. One whose policy is gone is handed back; until then `unnamed` says what becomes of its calls. None goes on
    // before go_on(), and before that the calls of all that wait have to wait again: list_waiting() adds them.
    void resume_all(std::vector<LeftSession> sessions, const PolicyStore& policies, const std::shared_ptr<const Policy>& unnamed);
    void list_waiting(std::vector<ResumedCall>& calls) const;
    void go_on();
    // The same where no agent can go on with them, for release_all(). What their policies ask of counters, pins and humans is not
    // there: where they are enforced, nothing is allowed any more.
    void resume_to_release(std::vector<LeftSession> sessions, const PolicyStore& policies);
    // No agent comes that could go on with them, and there is no watcher: each is handed back where its policy says
    // `"fail": "open"`, and ends otherwise; of one that ends nothing is judged that has not been. Calls `done` when none is left.
    void release_all(std::function<void()> done);
    // Says in the audit log that there were some that cannot be gone on with.
    void lose(const std::string& reason);
    // Of resumed sessions that have not ended, for Watcher::resume().
    std::vector<ResumedServer> resumed() const;
    size_t size() const { return entries_.size(); }

    CounterTable& counters() { return counters_; }  // of every session of the agent, over HTTP too
    nlohmann::json sessions_json() const;
    // The members of `status` that sessions know: sessions, frames.
    nlohmann::json figures_json() const;
    void note_ties(std::set<std::string>& ties) const;  // of the sessions: session_json.h
    FrameCounts counts() const;

  private:
    struct Entry {
        std::string id, started;
        ServerIdentity server;
        PeerIdentity client;
        std::shared_ptr<const Policy> policy;
        std::shared_ptr<const AuditSession> audit_session;
        cg_channel_key new_input{}, new_output{};
        std::string remark;
        std::unique_ptr<RelaySession> relay;
        std::string ended_because = "ended";
        bool input_is_socket = false, output_is_socket = false;
        bool handing_back = false;
        WatchedSession watched{};  // as it was when this agent got it
        std::unique_ptr<KeptSession> kept;
        Fail fail = Fail::closed;
        const char* wants_back = nullptr;  // to be handed back, for this reason, once that can be done
    };
    std::shared_ptr<const AuditSession> describe(const std::string& id, const std::string& grant);
    // Describes it, makes its relay, and puts it into the table.
    Entry& place(Entry entry, TakenEnds ends, Opening::Start start, bool certain);
    SessionState leave(Entry& entry);
    SessionState facts_of(const Entry& entry) const;
    void keep(Entry& entry);
    void note_start(const Entry& entry, Opening::Start start);
    void note_end(const std::shared_ptr<const AuditSession>& session, const FrameCounts& counts, size_t unanswered,
                  const std::string& reason);
    void note_given_back(const Entry& entry, const GateState& gate, const std::string& problem);
    // What a session goes on by.
    struct Governed {
        std::shared_ptr<const Policy> policy;  // null where there is none
        Fail fail = Fail::closed;
    };
    static Governed governed_by(SessionState& session, const PolicyStore& policies);
    void resume(LeftSession left, Governed governed, const char* wants_back);
    void run_waiting();
    void wait_until_suspended(int64_t until_ns, std::function<void()> done);
    void ended(const std::string& id);
    void hand_back(Entry& entry, std::chrono::milliseconds patience, const char* because);
    void hand_back_now(HandBackJob job);
    void bury(std::unique_ptr<RelaySession> relay);
    void sweep();
    void finish_if_empty();
    bool delivered(const std::string& id) const;
    static nlohmann::json entry_json(const Entry& entry);

    Ring& ring_;
    Worker& worker_;
    AuditLog& audit_;
    const Config& config_;
    Watcher* watcher_ = nullptr;
    ApprovalDesk* approvals_ = nullptr;
    Vault* vault_ = nullptr;
    CounterTable counters_;
    GrantsInForce grants_;
    PinTable pins_;
    std::unordered_map<std::string, Entry> entries_;
    std::vector<std::unique_ptr<RelaySession>> buried_;  // with operations in flight
    ServerExits exits_;
    std::function<void(HandBackJob)> give_back_;  // null until somebody can
    std::vector<HandBackJob> to_give_back_;       // where there is no watcher
    bool suspended_ = false;                      // no call that waits has its turn any more
    std::vector<std::string> resumed_;            // ids, until they go on
    std::deque<nlohmann::json> blind_;
    FrameCounts ended_counts_;
    uint64_t total_ = 0, blind_total_ = 0;
    std::function<void()> all_done_;
};

}  // namespace callgate
