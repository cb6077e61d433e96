// The parts of states that sessions of every kind have, as JSON. What is absent is left as it is; what is of the wrong kind
// throws json::exception.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "enforce/gate_state.h"
#include "session/identity.h"
#include "wire.h"

namespace callgate::state_json {

using nlohmann::json;

template <typename T>
void take(const json& object, const char* key, T& value) {
    if (const auto found = object.find(key); found != object.end()) value = found->get<T>();
}

// What has its default is left out, since the reader has that anyway: a thousand states are read while clients wait.
template <typename T>
void put(json& object, const char* key, const T& value, const T& otherwise = T()) {
    if (value != otherwise) object[key] = value;
}

// Bytes of a stream: not text, whatever they look like.
json raw(const std::string& bytes);
void put_raw(json& object, const char* key, const std::string& bytes);
std::string raw_of(const json& object, const char* key);

json channel_json(const cg_channel_key& key);
void take_channel(const json& object, const char* key, cg_channel_key& channel);
json server_json(const ServerIdentity& server);
void take_server(const json& object, ServerIdentity& server);
json peer_json(const PeerIdentity& peer);
void take_peer(const json& object, PeerIdentity& peer);
json pending_json(const std::vector<PendingState>& pending);
void take_pending(const json& list, std::vector<PendingState>& pending);
// What a session was shown of pinned tools.
json seen_json(const decltype(SessionPins::Saved::seen)& seen);
void take_seen(const json& list, decltype(SessionPins::Saved::seen)& seen);
json gate_json(const GateState& gate);
void take_gate(const json& object, GateState& gate);

}  // namespace callgate::state_json
