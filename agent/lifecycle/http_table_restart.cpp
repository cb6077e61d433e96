// The table's part in a planned restart: connections stop where they are, be it in the middle of an event, and go on in
// the next agent.
//
//   accept_no_more() ─► suspend() ─► leave() ─► (parcel) ─► resume() ─► go_on();  once there is a watcher, exemptions
#include <algorithm>
#include <map>
#include <tuple>

#include "lifecycle/http_table.h"
#include "lifecycle/resumed_policy.h"
#include "lifecycle/session_json.h"

namespace callgate {
namespace {

constexpr std::string_view kTie = "(policy tie)";

// One that nobody can tell the listener of stays denied.
std::shared_ptr<const Policy> policy_of_resumed(ServerIdentity& server, const std::string& name, const PolicyStore& policies,
                                                const std::shared_ptr<const Policy>& unnamed) {
    std::string names;
    if (name == kTie) return PolicyStore::deny_for_tie(policies.policies(), names);
    if (auto found = policy_in_force(server, name, policies)) return found;
    if (auto found = stand_in_for_bad(name, policies)) return found;
    return unnamed;
}

}  // namespace

void HttpTable::use_watcher(const Watcher* watcher) {
    watcher_ = watcher;
    for (auto& [raw, connection] : connections_) {
        if (!watcher) {
            connection->leave_steering();
        } else if (const auto& exempt = connection->exempt()) {
            connection->use_exemption(watcher->exempt(*exempt));
        }
    }
}

void HttpTable::accept_no_more() {
    steering_outlives() ? stop_accepting() : take_all_queued();
    sweep();
}

void HttpTable::suspend() {
    suspended_ = true;
    for (auto& [raw, connection] : connections_) connection->suspend();
}

bool HttpTable::is_suspended() const {
    return buried_.empty() &&
           std::all_of(connections_.begin(), connections_.end(), [](const auto& each) { return each.second->idle(); });
}

void HttpTable::cut(HttpConnection& connection, std::string_view reason) {
    ++cut_at_restart_;
    std::shared_ptr<const AuditSession> session;
    std::vector<std::pair<std::string, std::string>> members;
    if (const HttpGate* gate = connection.gate()) {
        session = audit_.describe(gate->facts().session_facts({}, gate->policy(), gate->facts().grant));
        members.emplace_back("client", json_text(gate->facts().peer_address));
    }
    members.emplace_back("reason", json_text("it could not be kept over a restart: " + std::string(reason)));
    audit_.event("connection_cut", session, members);
    connection.close();
    // This process may end before all of it is idle, and the next one must not wait for what nobody answers.
    if (HttpGate* gate = connection.gate()) gate->end();
}

LeftHttp HttpTable::leave() {
    std::vector<HttpConnection*> all;
    for (auto& [raw, connection] : connections_) all.push_back(raw);
    std::erase_if(all, [&](HttpConnection* each) {
        const std::string_view why = each->why_not_to_leave();
        if (!why.empty()) cut(*each, why);
        return !why.empty();
    });
    LeftHttp left;
    std::vector<HttpSessions::Pointer> ended;
    for (const HttpConnection* each : all) {
        if (!each->gate()) continue;
        HttpSessions::Pointer session = each->gate()->session();
        if (session && session->ended && std::find(ended.begin(), ended.end(), session) == ended.end())
            ended.push_back(std::move(session));
    }
    for (HttpConnection* each : all) {
        left.connections.push_back(each->leave());
        connections_.erase(each);
    }
    left.sessions = sessions_.leave(ended);
    for (Parked& each : parked_)
        left.waiting.push_back({std::move(each.client), each.space->inode(), std::move(each.unread), each.http_only});
    parked_.clear();
    for (WaitingHttpClient& each : waited_) left.waiting.push_back(std::move(each));
    waited_.clear();
    left.cut = cut_at_restart_;
    return left;
}

void HttpTable::resume(LeftHttp left, const PolicyStore& policies, const std::shared_ptr<const Policy>& unnamed) {
    suspended_ = false;
    cut_at_restart_ = left.cut;
    waited_ = std::move(left.waiting);
    // To find it out takes its time for some servers, and all their connections have the same.
    std::map<std::tuple<pid_t, uint64_t, std::vector<std::string>, std::string>, std::shared_ptr<const Policy>> known;
    const auto policy_of = [&](ServerIdentity& server, const std::string& name) {
        auto& policy = known[{server.process.pid, server.process.start_time, server.listens, name}];
        if (!policy) policy = policy_of_resumed(server, name, policies, unnamed);
        return policy;
    };
    sessions_.restore(std::move(left.sessions), policy_of, counters_);
    for (SavedHttpConnection& each : left.connections) {
        std::optional<HttpGateOptions> options;
        if (each.gate) {
            options.emplace();
            options->policy = policy_of(each.facts.server, each.policy);
            options->facts = each.facts;
            options->frame_bytes_max = config_.frame_bytes_max;
            options->approvals = approvals_;
            options->http_only = each.http_only;
        }
        HttpConnection::Ends ends;
        ends.client = std::move(each.client);
        ends.upstream.socket = std::move(each.server);
        HttpConnection& connection = add_connection(std::move(ends), std::move(options));
        if (!connection.restore(std::move(each))) {
            cut(connection, "its state cannot be that of a connection");
            continue;
        }
        ++resumed_total_;
        resumed_.push_back(&connection);
    }
    sessions_.all_restored();
}

void HttpTable::list_waiting(std::vector<ResumedCall>& calls) const {
    for (HttpConnection* each : resumed_) {
        HttpGate* gate = each->gate();
        const std::vector<int64_t> times = gate ? gate->held_read_ns() : std::vector<int64_t>();
        for (size_t i = 0; i < times.size(); ++i) calls.push_back({times[i], [gate, i] { gate->wait_again(i); }});
    }
}

void HttpTable::go_on() {
    for (HttpConnection* each : std::exchange(resumed_, {}))
        if (connections_.count(each)) each->go_on();
}

std::vector<cg_channel_key> HttpTable::replacements() const {
    std::vector<cg_channel_key> all;
    for (const auto& [raw, connection] : connections_)
        if (connection->replacement().inode != 0) all.push_back(connection->replacement());
    return all;
}

void HttpTable::place_those_that_waited() {
    for (WaitingHttpClient& each : std::exchange(waited_, {})) {
        auto local = SocketAddress::local_of(each.client.get()), remote = SocketAddress::remote_of(each.client.get());
        auto space = space_of(each.netns);
        if (!local || !remote) continue;  // it has gone already
        if (!space) {
            reset(std::move(each.client), nobody_);
            continue;
        }
        place({std::move(each.client), std::move(space), *local, *remote, std::move(each.unread), each.http_only});
    }
}

}  // namespace callgate
