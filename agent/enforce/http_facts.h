// HttpFacts: what the kernel says of one HTTP connection: who serves, who asks, and where.
//
//   curl of user 1000 asks a Node server  ->  listen "127.0.0.1:3000", peer_address "127.0.0.1:40112", peer pid 4711
//   a client on another host              ->  listen "0.0.0.0:3000", peer_address "192.0.2.7:40112", peer pid 0
#pragma once
#include <string>

#include "audit/record.h"
#include "policy/policy.h"
#include "session/identity.h"

namespace callgate {

struct HttpFacts {
    ServerIdentity server;
    PeerIdentity peer;         // pid 0 where the client is no process of this host
    std::string peer_address;  // "192.0.2.7:40112", "[2001:db8::7]:40112"
    std::string grant;         // key of the caller's default grant, as for stdio
    std::string listen;        // the listener's own address: "127.0.0.1:3000", "[::]:3000"
    // Sessions of one listener are not those of another one with the same address elsewhere: network namespace and
    // address. Where it is empty, `listen` stands for it.
    std::string listener;

    const std::string& listener_key() const { return listener.empty() ? listen : listener; }
    bool peer_is_local() const { return peer.process.pid != 0; }
    // "192.0.2.7": peer_address without its port and brackets.
    std::string peer_host() const;
    // For the audit log: a session as it is used over this connection, under a grant.
    SessionFacts session_facts(std::string session_id, const Policy& policy, const std::string& grant_key) const;
};

}  // namespace callgate
