#include "lifecycle/session_table.h"

#include <algorithm>

#include "base/clock.h"
#include "base/fault_point.h"
#include "lifecycle/session_json.h"

namespace callgate {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

// Blind servers that `sessions` lists; older ones are in the audit log.
constexpr size_t kBlindKept = 256;

// `bytes` of a socket are those of its buffers, not of the messages in them.
void add_unread(std::string& because, size_t bytes, bool is_socket) {
    if (bytes) because += ", " + (is_socket ? "some" : std::to_string(bytes)) + " bytes were not read by the server";
}

std::string with_problem(std::string because, const std::string& problem) {
    return problem.empty() ? because : std::move(because) + ", but: " + problem;
}

SessionFacts audit_facts(const std::string& id, const ServerIdentity& server, const PeerIdentity& client, const Policy& policy,
                         std::string grant) {
    SessionFacts facts;
    facts.session_id = id;
    facts.transport = "stdio";
    facts.server = server;
    facts.peer = client;
    facts.grant = std::move(grant);
    facts.policy = policy.name();
    facts.policy_revision = policy.revision();
    facts.mode = mode_name(policy.mode());
    return facts;
}

}  // namespace

SessionTable::SessionTable(Ring& ring, Worker& worker, AuditLog& audit, const Config& config)
    : ring_(ring), worker_(worker), audit_(audit), config_(config), exits_(ring, [this](const std::string& id) {
          return delivered(id);
      }) {
    WaitingCalls& waiting = counters_.waiting();
    waiting.wake = [this](int64_t at_ns) {
        ring_.after(std::chrono::nanoseconds(std::max<int64_t>(at_ns - monotonic_ns(), 0)), [this] { run_waiting(); });
    };
}

SessionTable::~SessionTable() = default;

// What is given back while everything stops is not given back: the next agent has it in flight.
void SessionTable::run_waiting() {
    if (!suspended_) counters_.waiting().run(monotonic_ns());
}

SessionTable::Entry& SessionTable::place(Entry entry, TakenEnds ends, Opening::Start start, bool certain) {
    entry.new_input = ends.new_input;
    entry.new_output = ends.new_output;
    entry.input_is_socket = ends.input_kind == ChannelKind::unix_socket;
    entry.output_is_socket = ends.output_kind == ChannelKind::unix_socket;
    GateOptions options;
    options.policy = entry.policy;
    options.grant = default_grant(entry.client);
    options.grants = &grants_;
    options.pins = &pins_;
    const CallerGrant first_grant(grants_, options.grant, entry.client);
    options.audit_session = entry.audit_session =
        audit_.describe(audit_facts(entry.id, entry.server, entry.client, *entry.policy, first_grant.key()));
    options.describe = [this, id = entry.id](const std::string& grant) { return describe(id, grant); };
    options.session_id = entry.id;
    options.server = entry.server;
    options.peer = entry.client;
    options.start = start;
    options.certain = certain;
    options.frame_bytes_max = config_.frame_bytes_max;
    options.approvals = approvals_;
    std::string id = entry.id;
    entry.relay = std::make_unique<RelaySession>(ring_, std::move(ends), std::move(options), counters_, audit_,
                                                 RelaySession::Events{[this, id](RelaySession&) { ended(id); },
                                                                      [this, id](RelaySession&) {
                                                                          auto found = entries_.find(id);
                                                                          if (found != entries_.end())
                                                                              hand_back(found->second, 10s, "released: not MCP");
                                                                      },
                                                                      [this, id](RelaySession& relay) {
                                                                          auto found = entries_.find(id);
                                                                          if (found != entries_.end() && found->second.kept)
                                                                              found->second.kept->ends_changed(relay);
                                                                      },
                                                                      [this, id](RelaySession&) {
                                                                          auto found = entries_.find(id);
                                                                          if (found != entries_.end()) found->second.kept.reset();
                                                                      }});
    ++total_;
    return entries_.emplace(id, std::move(entry)).first->second;
}

void SessionTable::add(TakenServer taken) {
    Entry entry;
    entry.id = taken.session_id;
    entry.started = utc_now();
    entry.policy = taken.policy;
    entry.fail = taken.policy->fail();
    entry.server = std::move(taken.server);
    entry.client = std::move(taken.client);
    entry.remark = taken.remark;
    const TakenEnds& ends = taken.ends;
    entry.watched = {entry.id, {entry.server.process.pid}, ends.input, ends.output, ends.new_input, ends.new_output};
    Entry& placed = place(std::move(entry), std::move(taken.ends), taken.start, taken.certain);
    note_start(placed, taken.start);
    fault_point("session placed");
    keep(placed);
    fault_point("session kept");
    placed.relay->start();
    fault_point("session started");
}

void SessionTable::note_start(const Entry& entry, Opening::Start start) {
    std::vector<std::pair<std::string, std::string>> members = {{"state", "\"enforced\""},
                                                                {"adopted", start == Opening::Start::midway ? "true" : "false"}};
    if (!entry.remark.empty()) members.emplace_back("remark", json_text(entry.remark));
    audit_.event("session_start", entry.audit_session, members);
}

void SessionTable::add_blind(BlindServer blind) {
    ++blind_total_;
    std::string grant = CallerGrant(grants_, default_grant(blind.client), blind.client).key();
    SessionFacts facts = audit_facts(blind.session_id, blind.server, blind.client, *blind.policy, std::move(grant));
    if (!blind.listen.empty()) {
        facts.transport = "http";
        facts.listen = blind.listen;
        facts.grant.clear();
    }
    auto session = audit_.describe(facts);
    audit_.event("session_blind", session,
                 {{"state", "\"blind\""}, {"reason", json_text(blind.reason)}, {"killed", blind.killed ? "true" : "false"}});
    blind_.push_back({{"session", blind.session_id},
                      {"state", "blind"},
                      {"reason", blind.reason},
                      {"killed", blind.killed},
                      {"server", server_json(blind.server)},
                      {"peer", peer_json(blind.client)},
                      {"policy", blind.policy->name()},
                      {"started", utc_now()},
                      {"listen", blind.listen}});
    if (blind_.size() > kBlindKept) blind_.pop_front();
}

void SessionTable::use_policies(const PolicyStore& policies) {
    for (auto& [id, entry] : entries_) {
        const PolicyStore::Match match = policies.find(entry.server);
        if (!match.policy || match.policy == entry.policy || !entry.relay) continue;
        entry.policy = match.policy;
        entry.fail = match.policy->fail();
        entry.audit_session = describe(id, entry.relay->gate().grant());
        entry.relay->gate().use_policy(entry.policy, entry.audit_session);
        audit_.event("policy_changed", entry.audit_session, {});
        if (entry.kept) entry.kept->write_facts(*entry.relay, facts_of(entry));
    }
}

std::shared_ptr<const AuditSession> SessionTable::describe(const std::string& id, const std::string& grant) {
    Entry& entry = entries_.at(id);
    entry.audit_session = audit_.describe(audit_facts(id, entry.server, entry.client, *entry.policy, grant));
    return entry.audit_session;
}

void SessionTable::late_bytes(const std::string& id, std::string_view bytes) {
    auto found = entries_.find(id);
    if (found != entries_.end() && found->second.relay) found->second.relay->late_client_bytes(bytes);
}

void SessionTable::joined(const std::string& id, const ServerIdentity& process) {
    auto found = entries_.find(id);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    audit_.event("session_joined", entry.audit_session,
                 {{"process", server_json(process).dump(-1, ' ', true, json::error_handler_t::replace)}});
    entry.watched.pids.push_back(process.process.pid);
    if (entry.kept) entry.kept->write_facts(*entry.relay, facts_of(entry));
}

void SessionTable::supersede(const std::string& id) {
    auto found = entries_.find(id);
    if (found == entries_.end() || !found->second.relay) return;
    found->second.ended_because = "superseded: another process reads the same input";
    add_unread(found->second.ended_because, found->second.relay->unread_by_server(), found->second.input_is_socket);
    found->second.relay->close();
}

void SessionTable::ended(const std::string& id) {
    auto found = entries_.find(id);
    if (found == entries_.end() || !found->second.relay) return;
    Entry& entry = found->second;
    if (const std::string failure = entry.relay->failure(); !failure.empty()) entry.ended_because += ": " + failure;
    buried_.reserve(buried_.size() + 1);
    note_end(entry.audit_session, entry.relay->counts(), entry.relay->gate().pending_requests(), entry.ended_because);
    bury(std::move(entry.relay));
    if (watcher_) watcher_->session_ended(id);
    entries_.erase(found);
    finish_if_empty();
}

void SessionTable::note_end(const std::shared_ptr<const AuditSession>& session, const FrameCounts& counts, size_t unanswered,
                            const std::string& reason) {
    ended_counts_ += counts;
    json members = counts_json(counts);
    members["unanswered"] = unanswered;
    audit_.event(
        "session_end", session,
        {{"reason", json_text(reason)}, {"frames", members.dump()}, {"conserved", counts.conserved() ? "true" : "false"}});
}

void SessionTable::note_given_back(const Entry& entry, const GateState& gate, const std::string& problem) {
    const CallerGrant grant(grants_, default_grant(entry.client), entry.client);
    ++total_;
    note_end(audit_.describe(audit_facts(entry.id, entry.server, entry.client, *entry.policy, grant.key())), gate.counts,
             gate.pending.size(), with_problem("handed back: the agent was killed at it", problem));
}

void SessionTable::bury(std::unique_ptr<RelaySession> relay) {
    buried_.push_back(std::move(relay));
    if (buried_.size() == 1) ring_.after(1ms, [this] { sweep(); });
}

void SessionTable::sweep() {
    std::erase_if(buried_, [](const auto& relay) { return relay->idle(); });
    if (!buried_.empty()) ring_.after(1ms, [this] { sweep(); });
    finish_if_empty();
}

// Of a session that has ended only the closing of its descriptors may be outstanding.
bool SessionTable::delivered(const std::string& id) const {
    auto found = entries_.find(id);
    if (found != entries_.end()) return found->second.relay->output_delivered();
    return std::all_of(buried_.begin(), buried_.end(), [](const auto& relay) { return relay->output_delivered(); });
}

void SessionTable::finish_if_empty() {
    if (all_done_ && entries_.empty() && buried_.empty()) std::exchange(all_done_, nullptr)();
}

void SessionTable::hand_back(Entry& entry, std::chrono::milliseconds patience, const char* because) {
    if (entry.handing_back) return;
    if (!give_back_) {
        entry.wants_back = because;
        return;
    }
    entry.handing_back = true;
    std::string id = entry.id;
    entry.relay->quiesce(patience, [this, id, because](bool drained) {
        auto found = entries_.find(id);
        if (found == entries_.end()) return;
        Entry& quiet = found->second;
        HandBackJob job;
        job.session_id = id;
        job.back.new_input = quiet.new_input;
        job.back.new_output = quiet.new_output;
        job.back.original_input = quiet.relay->original_input();
        job.back.original_output = quiet.relay->original_output();
        job.back.replacement_output = quiet.relay->replacement_output();
        if (!quiet.relay->gate().wants_release()) job.back.replacement_input = quiet.relay->replacement_input();
        if (auto ledger = quiet.relay->shared_ledger()) {
            job.back.copy_rest = [ledger = std::move(ledger), from = job.back.replacement_output, to = job.back.original_output,
                                  is_socket = quiet.relay->output_is_socket()] {
                return ledger->bytes().pass_on(Ledger::kToClient, from, to, is_socket);
            };
        } else {
            job.back.copy_rest = [first = quiet.relay->unwritten_to_client(), from = job.back.replacement_output,
                                  to = job.back.original_output]() mutable -> Status {
                if (!first) return first.error();
                return copy_rest(*first, from, to);
            };
        }
        size_t lost = drained ? 0 : quiet.relay->unread_by_server();
        job.done = [this, id, because, lost](std::string problem) {
            ring_.post([this, id, because, lost, problem = std::move(problem)] {
                auto back = entries_.find(id);
                if (back == entries_.end()) return;
                back->second.ended_because = with_problem(because, problem);
                add_unread(back->second.ended_because, lost, back->second.input_is_socket);
                back->second.relay->close();
            });
        };
        give_back_(std::move(job));
    });
}

void SessionTable::hand_back_all(std::chrono::milliseconds patience, std::function<void()> done) {
    all_done_ = std::move(done);
    if (!give_back_) give_back_ = [this](HandBackJob job) { hand_back_now(std::move(job)); };
    std::vector<std::string> ids;
    for (auto& [id, entry] : entries_) ids.push_back(id);
    for (const std::string& id : ids) {
        auto found = entries_.find(id);
        if (found == entries_.end()) continue;
        found->second.relay->hurry();
        hand_back(found->second, patience, "handed back: the agent stops");
    }
    finish_if_empty();
}

json SessionTable::entry_json(const Entry& entry) {
    return {{"session", entry.id},
            {"state", "enforced"},
            {"reason", entry.remark},
            {"server", server_json(entry.server)},
            {"peer", peer_json(entry.client)},
            {"grant", entry.relay->gate().grant()},
            {"policy", entry.policy->name()},
            {"mode", mode_name(entry.policy->mode())},
            {"frames", counts_json(entry.relay->counts())},
            {"started", entry.started}};
}

json SessionTable::sessions_json() const {
    json list = json::array();
    for (const auto& [id, entry] : entries_) list.push_back(entry_json(entry));
    for (const json& each : blind_) list.push_back(each);
    return list;
}

void SessionTable::note_ties(std::set<std::string>& ties) const {
    for (const auto& [id, entry] : entries_) note_tie(*entry.policy, entry.server, ties);
}

FrameCounts SessionTable::counts() const {
    FrameCounts counts = ended_counts_;
    for (const auto& [id, entry] : entries_) counts += entry.relay->counts();
    return counts;
}

json SessionTable::figures_json() const {
    return {{"sessions", {{"enforced", entries_.size()}, {"observed", 0}, {"blind", blind_total_}, {"total", total_}}},
            {"counters", counters_.size()}};
}

}  // namespace callgate
