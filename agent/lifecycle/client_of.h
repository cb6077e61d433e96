// client_of: who started a server on stdio.
#pragma once
#include "kernel/proc.h"
#include "session/identity.h"

namespace callgate {

// The nearest ancestor that does not have the server's input itself; empty where it is gone.
PeerIdentity client_of(pid_t server, const cg_channel_key& input);

}  // namespace callgate
