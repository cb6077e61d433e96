#include "lifecycle/http_peers.h"

#include "session/process_dir.h"
#include "session/users.h"

namespace callgate {

PeerIdentity HttpPeers::identify(const std::optional<cg_peer>& peer) {
    PeerIdentity found;
    if (!peer) return found;
    auto pid = static_cast<pid_t>(peer->tgid);
    std::string key;
    if (auto directory = ProcessDir::open(pid)) {
        if (auto stat = directory->stat())
            key = std::to_string(pid) + " " + std::to_string(stat->start_time) + " " + directory->link("exe");
    }
    if (!key.empty()) {
        if (auto known = known_.get(key)) {
            found = std::move(*known);
        } else if (auto identified = identify_peer(pid)) {
            found = std::move(*identified);
            known_.put(key, found);
        }
    }
    // The user is that of the call, whatever the process has become since.
    found.process.pid = pid;
    if (found.process.uid != peer->uid || found.process.user.empty()) {
        found.process.uid = peer->uid;
        found.process.user = user_name(peer->uid);
    }
    return found;
}

}  // namespace callgate
