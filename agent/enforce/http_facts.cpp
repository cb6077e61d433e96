#include "enforce/http_facts.h"

namespace callgate {

std::string HttpFacts::peer_host() const {
    std::string host = peer_address.substr(0, peer_address.rfind(':'));
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    return host;
}

SessionFacts HttpFacts::session_facts(std::string session_id, const Policy& policy, const std::string& grant_key) const {
    SessionFacts facts;
    facts.session_id = std::move(session_id);
    facts.transport = "http";
    facts.server = server;
    facts.peer = peer;
    facts.listen = listen;
    facts.peer_address = peer_address;
    facts.grant = grant_key;
    facts.policy = policy.name();
    facts.policy_revision = policy.revision();
    facts.mode = mode_name(policy.mode());
    return facts;
}

}  // namespace callgate
