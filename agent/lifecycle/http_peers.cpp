#include "lifecycle/http_peers.h"

#include <unistd.h>

#include "session/process_dir.h"
#include "session/users.h"

namespace callgate {
namespace {

uint64_t clock_ticks(uint64_t nanoseconds) {
    static const auto kTickNanoseconds = static_cast<uint64_t>(1'000'000'000 / sysconf(_SC_CLK_TCK));
    return nanoseconds / kTickNanoseconds;
}

// The number may be another process's by now.
bool is_still(const cg_peer& peer, const PeerIdentity& now) {
    return !peer.start_ns || now.process.start_time == clock_ticks(peer.start_ns);
}

// One program that one process ran: what the kernel has noted of it, else what the process runs now. Empty where it has
// ended.
std::string key_of(const cg_peer& peer) {
    const std::string pid = std::to_string(peer.tgid);
    if (peer.start_ns) return pid + " " + std::to_string(peer.start_ns) + " " + std::to_string(peer.exec_id);
    auto directory = ProcessDir::open(static_cast<pid_t>(peer.tgid));
    auto stat = directory ? directory->stat() : directory.error();
    return stat ? pid + " " + std::to_string(stat->start_time) + " " + directory->link("exe") : std::string();
}

}  // namespace

PeerIdentity HttpPeers::identify(const std::optional<cg_peer>& peer) {
    PeerIdentity found;
    if (!peer) return found;
    auto pid = static_cast<pid_t>(peer->tgid);
    const std::string key = key_of(*peer);
    if (auto known = known_.get(key)) {
        found = std::move(*known);
    } else if (auto identified = identify_peer(pid); identified && !key.empty() && is_still(*peer, *identified)) {
        found = std::move(*identified);
        known_.put(key, found);
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
