#include "policy/caller.h"

#include <charconv>

#include "base/limits.h"
#include "policy/grant.h"

namespace callgate {
namespace {

SeenValue text_value(std::string_view text) { return {text.empty() ? ValueKind::absent : ValueKind::string, text}; }

SeenValue number_value(uid_t uid, std::string& digits) {
    char buffer[16];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, uid).ptr;
    digits.assign(buffer, end);
    return {ValueKind::number, digits};
}

SeenValue peer_fact(CallerFact fact, const PeerIdentity* peer, std::string& digits) {
    if (peer == nullptr || peer->process.pid == 0) return {};
    const ProcessFacts& process = peer->process;
    if (fact == CallerFact::peer_uid) return number_value(process.uid, digits);
    if (fact == CallerFact::peer_user) return text_value(process.user);
    if (fact == CallerFact::peer_exe) return text_value(process.exe);
    return text_value(fact == CallerFact::peer_cgroup ? process.cgroup : container_of(process.cgroup));
}

SeenValue server_fact(CallerFact fact, const ServerIdentity* server, std::string& digits) {
    if (server == nullptr) return {};
    if (fact == CallerFact::server_package) return text_value(server->package.name);
    if (fact == CallerFact::server_version) return text_value(server->package.version);
    if (fact == CallerFact::server_command) return text_value(server->command);
    if (fact == CallerFact::server_exe) return text_value(server->process.exe);
    if (fact == CallerFact::server_user) return text_value(server->process.user);
    return server->process.pid == 0 ? SeenValue{} : number_value(server->process.uid, digits);
}

}  // namespace

void ToolAnnotations::remember(std::string_view tool, std::string_view annotations) {
    const auto known = tools_.find(tool);
    const bool fits = annotations.size() <= kAnnotationsBytesMax && tool.size() <= kNameBytesMax;
    if (known != tools_.end()) {
        known->second = fits ? annotations : std::string_view();
    } else if (fits && tools_.size() < kAnnotatedToolsMax) {
        tools_.emplace(tool, annotations);
    }
}

std::string_view ToolAnnotations::of(std::string_view tool) const {
    const auto known = tools_.find(tool);
    return known == tools_.end() ? std::string_view() : std::string_view(known->second);
}

SeenValue fact_of(CallerFact fact, const Caller& caller, std::string& digits, std::string_view label) {
    switch (fact) {
        case CallerFact::none: return {};
        case CallerFact::grant_key: return text_value(caller.grant);
        case CallerFact::grant_name: return caller.named_grant == nullptr ? SeenValue{} : text_value(caller.named_grant->name);
        case CallerFact::grant_label: return caller.named_grant == nullptr ? SeenValue{} : caller.named_grant->label(label);
        case CallerFact::peer_uid:
        case CallerFact::peer_user:
        case CallerFact::peer_exe:
        case CallerFact::peer_cgroup:
        case CallerFact::peer_container: return peer_fact(fact, caller.peer, digits);
        case CallerFact::server_name: return text_value(caller.server);
        case CallerFact::server_package:
        case CallerFact::server_version:
        case CallerFact::server_exe:
        case CallerFact::server_command:
        case CallerFact::server_uid:
        case CallerFact::server_user: return server_fact(fact, caller.server_identity, digits);
        case CallerFact::client_name: return text_value(caller.client_name);
        case CallerFact::client_version: return text_value(caller.client_version);
    }
    return {};
}

}  // namespace callgate
