// HttpPeers: the processes behind local clients' connections. A client makes many, so what it is is remembered for as
// long as it is the same process running the same program.
#pragma once
#include <optional>

#include "kernel/listen_programs.h"
#include "session/identity.h"
#include "session/lru_cache.h"

namespace callgate {

class HttpPeers {
  public:
    // `peer`: what the kernel noted at connect(2); pid 0 where it noted nothing. A process that has ended since, and made no
    // connection before, is known by number and user only.
    PeerIdentity identify(const std::optional<cg_peer>& peer);

  private:
    LruCache<std::string, PeerIdentity> known_{1024};
};

}  // namespace callgate
