// HttpTable: every governed listener of the host and every HTTP connection to one, on the loop's thread.
//
// The watcher says which listeners there are and in which network namespaces; the table accepts what is steered there,
// finds the listener that was asked for, and joins the client to it through a gate. Where several governed listeners
// share an address under different policies nobody can say which of them a connection reaches: it is denied everything.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <unordered_map>
#include <vector>

#include "audit/record_id.h"
#include "enforce/http_connection.h"
#include "enforce/http_sessions.h"
#include "lifecycle/config.h"
#include "lifecycle/http_acceptor.h"
#include "lifecycle/http_peers.h"
#include "lifecycle/resumed_calls.h"
#include "lifecycle/watcher.h"
#include "restart/http_state.h"
#include "restart/vault.h"

namespace callgate {

class HttpTable {
  public:
    HttpTable(Ring& ring, AuditLog& audit, CounterTable& counters, const GrantsInForce& grants, PinTable& pins,
              const Config& config);
    ~HttpTable();
    HttpTable(const HttpTable&) = delete;
    HttpTable& operator=(const HttpTable&) = delete;
    // Null: its programs are going.
    void use_watcher(const Watcher* watcher);
    // Before any connection; outlives them.
    void use_approvals(ApprovalDesk& approvals) { approvals_ = &approvals; }
    // Before any namespace is opened. The steering outlives this agent in `vault`. `left`: that of agents
    // before, by which connections wait in the listeners that are in it; until steering_is_complete() nothing
    // is accepted, nor asked of a server, for that would come back to those listeners.
    void use_vault(Vault& vault, std::vector<Vault::Found> left);
    // Every listener that is governed is steered by this agent.
    void steering_is_complete();

    // What the watcher says (ListenWatch::Events).
    void open_space(std::shared_ptr<NetworkNamespace> space);
    void close_space(uint32_t netns);
    void add_undecided(Listener listener);
    void add(GovernedListener governed);
    void let_go(uint64_t cookie);
    void remove(uint64_t cookie);
    void adopt(EarlierConnection earlier);
    // Servers on AF_UNIX sockets (UnixServers::Events).
    void add_unix(std::shared_ptr<const UnixListener> listener);
    void remove_unix(const UnixListener& listener);
    void adopt_unix(UnixConnection connection);
    void note_unix_cut(const UnixListener& listener);

    // Each listener and each connection is governed from the next message on by the policy that names its server now; where
    // none does, by the one that it has.
    void use_policies(const PolicyStore& policies);
    // Nothing is steered any more: takes what is on its way, lets every exchange in hand end, and calls `done` when no
    // connection is left. What is not over after `patience` is cut.
    void drain(std::chrono::milliseconds patience, std::function<void()> done);
    bool steering_outlives() const { return vault_; }

    // --- a planned restart (http_table_restart.cpp), in this order
    // What connects from here on waits for the next agent, where steering_outlives(). Accepting is over when is_accepting() says
    // so.
    void accept_no_more();
    bool is_accepting() const { return !acceptors_.empty(); }
    void suspend();
    bool is_suspended() const;
    // All that can go on elsewhere; what cannot is closed, and recorded as cut.
    LeftHttp leave();
    // In the next agent, or in this one where nobody has taken it. As SessionTable::resume_all().
    void resume(LeftHttp left, const PolicyStore& policies, const std::shared_ptr<const Policy>& unnamed);
    void list_waiting(std::vector<ResumedCall>& calls) const;
    void go_on();
    // What servers have in place of connections that were taken over: no session of theirs begins there.
    std::vector<cg_channel_key> replacements() const;

    nlohmann::json listeners_json() const;
    nlohmann::json sessions_json() const;
    void note_ties(std::set<std::string>& ties) const;  // of listeners and sessions: session_json.h
    nlohmann::json figures_json() const;                // member "http" of `status`
    FrameCounts counts() const;                         // of all connections
    size_t sessions() const { return sessions_.size(); }
    uint64_t sessions_opened() const { return sessions_.opened(); }

  private:
    enum class Decision { undecided, governed, let_go };
    struct Entry {
        Decision decision = Decision::undecided;
        GovernedListener governed;
        std::string id, started;
        std::shared_ptr<const AuditSession> audit_session;
        uint64_t connections = 0;
    };
    struct UnixEntry {
        std::shared_ptr<const UnixListener> listener;
        std::string id, started;
        std::shared_ptr<const AuditSession> audit_session;
        uint64_t connections = 0;
    };
    // A client that waits for the decision on its listener.
    struct Parked {
        Fd client;
        std::shared_ptr<NetworkNamespace> space;
        SocketAddress local, remote;
        std::string unread;
        bool http_only = false;  // EarlierConnection
    };
    struct Found {
        Entry* entry = nullptr;
        std::shared_ptr<const Policy> policy;  // the listener's, or the one for a tie
    };

    void accepted(Fd client, const std::shared_ptr<NetworkNamespace>& space);
    std::shared_ptr<NetworkNamespace> space_of(uint32_t netns) const;
    void place(Parked arrival);
    void place_parked();
    Found find(const cg_address& address);
    Entry& entry_of(const Listener& listener);
    void join(Parked arrival, const Found& found);
    static std::string grant_of(const HttpFacts& facts);
    std::optional<HttpGateOptions> gate_options(const Parked& arrival, const Found& found);
    void reset(Fd client, uint64_t& counter);
    HttpAcceptor::Events acceptor_events();
    void start_accepting();
    void stop_accepting();
    void take_all_queued();
    void keep(const NetworkNamespace& space);
    void take_queued(uint32_t netns);
    void connection_ended(HttpConnection& connection);
    void sweep();
    void sweep_soon();
    void finish_if_empty();
    void end_idle_sessions();
    void adopt_alone(EarlierConnection earlier, const SocketAddress& local, const SocketAddress& remote);
    void start(HttpConnection::Ends ends, std::optional<HttpGateOptions> options);
    HttpConnection& add_connection(HttpConnection::Ends ends, std::optional<HttpGateOptions> options);
    void cut(HttpConnection& connection, std::string_view reason);
    void place_those_that_waited();

    Ring& ring_;
    AuditLog& audit_;
    CounterTable& counters_;
    const Config& config_;
    const Watcher* watcher_ = nullptr;
    ApprovalDesk* approvals_ = nullptr;
    HttpPeers peers_;
    HttpSessions sessions_;
    RecordIdMaker ids_;
    std::unordered_map<uint64_t, Entry> entries_;
    std::unordered_map<cg_address, std::vector<uint64_t>, AddressHash> by_address_;
    std::vector<UnixEntry> unix_entries_;
    Vault* vault_ = nullptr;
    std::unordered_map<uint32_t, std::shared_ptr<Vault::Entry>> kept_;  // by namespace
    std::vector<Vault::Found> left_;
    std::vector<std::unique_ptr<HttpAcceptor>> acceptors_;
    std::unordered_map<HttpConnection*, std::unique_ptr<HttpConnection>> connections_;
    std::vector<std::unique_ptr<HttpConnection>> buried_;
    std::vector<Parked> parked_;
    std::vector<WaitingHttpClient> waited_;  // in the agent before
    std::vector<HttpConnection*> resumed_;   // until they go on
    FrameCounts ended_counts_;
    uint64_t connections_total_ = 0, tunnels_ = 0, blind_ = 0, passed_requests_ = 0;
    uint64_t not_steered_ = 0, nobody_ = 0, full_ = 0, cut_ = 0, adopted_ = 0;
    uint64_t resumed_total_ = 0, cut_at_restart_ = 0;
    bool draining_ = false, suspended_ = false;
    std::function<void()> all_done_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace callgate
