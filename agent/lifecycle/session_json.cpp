#include "lifecycle/session_json.h"

#include <nlohmann/json.hpp>

#include "base/clock.h"

namespace callgate {

using nlohmann::json;

std::string utc_now() { return utc_text(realtime_ns()); }

std::string json_text(std::string_view text) {
    return json(std::string(text)).dump(-1, ' ', true, json::error_handler_t::replace);
}

json server_json(const ServerIdentity& server) {
    return {{"pid", server.process.pid}, {"package", server.package.name}, {"package_version", server.package.version},
            {"command", server.command}, {"exe", server.process.exe},      {"uid", server.process.uid}};
}

json peer_json(const PeerIdentity& peer) {
    return {{"pid", peer.process.pid}, {"uid", peer.process.uid}, {"user", peer.process.user}, {"exe", peer.process.exe}};
}

void note_tie(const Policy& policy, const ServerIdentity& server, std::set<std::string>& ties) {
    if (policy.tied().empty()) return;
    const std::string& what = !server.package.name.empty() ? server.package.name
                              : server.command.empty()     ? server.process.exe
                                                           : server.command;
    ties.insert("policy tie: " + policy.tied() + " name the server " + what.substr(0, kNameBytesMax) +
                " equally well; it is denied everything until one of them names more of it, or is removed");
}

json counts_json(const FrameCounts& counts) {
    return {{"in", counts.in},
            {"forwarded", counts.forwarded},
            {"denied", counts.denied},
            {"refused", counts.refused},
            {"held", counts.held},
            {"dropped_blank", counts.blank},
            {"server_in", counts.server_in},
            {"server_forwarded", counts.server_forwarded},
            {"server_denied", counts.server_denied},
            {"lists_filtered", counts.lists_filtered},
            {"foreign_bytes", counts.foreign_bytes},
            {"client_bytes", counts.client_bytes},
            {"server_bytes", counts.server_bytes}};
}

}  // namespace callgate
