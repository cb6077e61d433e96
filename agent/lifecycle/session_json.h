// What the audit log and the CLI are told of sessions, as JSON.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "enforce/gate.h"
#include "session/identity.h"

namespace callgate {

std::string utc_now();
// JSON text of a string that may hold anything.
std::string json_text(std::string_view text);
nlohmann::json server_json(const ServerIdentity& server);
nlohmann::json peer_json(const PeerIdentity& peer);
nlohmann::json counts_json(const FrameCounts& counts);

}  // namespace callgate
