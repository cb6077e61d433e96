// What the audit log and the CLI are told of sessions, as JSON.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <set>
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
// Where several policies name a server equally well: adds the sentence that says so. Of another policy nothing.
void note_tie(const Policy& policy, const ServerIdentity& server, std::set<std::string>& ties);

}  // namespace callgate
