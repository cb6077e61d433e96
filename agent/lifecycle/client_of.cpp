#include "lifecycle/client_of.h"

namespace callgate {

PeerIdentity client_of(pid_t server, const cg_channel_key& input) {
    pid_t pid = parent_of(server);
    for (int step = 0; step < 16 && pid > 1; ++step) {
        if (!(channel_of(pid, 0).channel == input)) break;
        pid = parent_of(pid);
    }
    auto peer = identify_peer(pid);
    return peer ? std::move(*peer) : PeerIdentity();
}

}  // namespace callgate
