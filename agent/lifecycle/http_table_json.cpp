// What the CLI is told of listeners and HTTP sessions.
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "lifecycle/http_table.h"
#include "lifecycle/session_json.h"

namespace callgate {

using nlohmann::json;

json HttpTable::listeners_json() const {
    json list = json::array();
    for (const auto& [cookie, entry] : entries_) {
        if (entry.decision != Decision::governed) continue;
        list.push_back({{"listener", entry.id},
                        {"listen", text_of(entry.governed.listener.address)},
                        {"netns", entry.governed.listener.address.netns},
                        {"server", server_json(entry.governed.server)},
                        {"policy", entry.governed.policy->name()},
                        {"mode", mode_name(entry.governed.policy->mode())},
                        {"adopted", entry.governed.adopted},
                        {"connections", entry.connections},
                        {"started", entry.started}});
    }
    for (const UnixEntry& entry : unix_entries_)
        list.push_back({{"listener", entry.id},
                        {"listen", "unix:" + entry.listener->path},
                        {"server", server_json(entry.listener->server)},
                        {"policy", entry.listener->match.policy->name()},
                        {"mode", mode_name(entry.listener->match.policy->mode())},
                        {"adopted", entry.listener->adopted},
                        {"connections", entry.connections},
                        {"started", entry.started}});
    return list;
}

json HttpTable::sessions_json() const {
    json list = json::array();
    for (const HttpSessions::Pointer& session : sessions_.sessions()) {
        json peer = peer_json(session->facts->peer);
        peer["address"] = session->facts->peer_address;
        list.push_back({{"session", session->id},
                        {"state", "enforced"},
                        {"reason", ""},
                        {"transport", "http"},
                        {"listen", session->facts->listen},
                        {"server", server_json(session->facts->server)},
                        {"peer", peer},
                        {"client", session->client_name},
                        {"grant", session->grant},
                        {"policy", session->policy->name()},
                        {"mode", mode_name(session->policy->mode())},
                        {"frames", counts_json(session->counts)},
                        {"started", utc_text(session->opened_ns)}});
    }
    return list;
}

void HttpTable::note_ties(std::set<std::string>& ties) const {
    for (const auto& [cookie, entry] : entries_) {
        if (entry.decision == Decision::governed) note_tie(*entry.governed.policy, entry.governed.server, ties);
    }
    for (const UnixEntry& entry : unix_entries_) note_tie(*entry.listener->match.policy, entry.listener->server, ties);
    for (const HttpSessions::Pointer& session : sessions_.sessions()) note_tie(*session->policy, session->facts->server, ties);
}

json HttpTable::figures_json() const {
    uint64_t passed = passed_requests_, tunnels = tunnels_, blind = blind_, listeners = 0;
    for (const auto& [cookie, entry] : entries_) listeners += entry.decision == Decision::governed;
    for (const auto& [raw, connection] : connections_) {
        const HttpGate* gate = connection->gate();
        if (!gate) continue;
        passed += gate->requests_passed();
        if (!gate->tunnel_reason().empty()) ++tunnels;
        if (!gate->blind_reason().empty()) ++blind;
    }
    return {{"listeners", listeners + unix_entries_.size()},
            {"connections", connections_.size()},
            {"connections_total", connections_total_},
            {"connections_adopted", adopted_},
            {"connections_cut", cut_},
            {"connections_resumed", resumed_total_},
            {"connections_cut_at_restart", cut_at_restart_},
            {"waiting", parked_.size()},
            {"sessions", sessions_.size()},
            {"requests_passed", passed},
            {"tunnels", tunnels},
            {"blind", blind},
            {"not_steered", not_steered_},
            {"listener_gone", nobody_},
            {"full", full_}};
}

}  // namespace callgate
