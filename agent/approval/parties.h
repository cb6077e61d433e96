// Who asks, and what is asked, as a human who decides reads it. What the kernel says stands first.
//
//   server_name     ->  session-forge
//   client_process  ->  user alice (uid 1000), pid 4711, unit session-3.scope, /usr/bin/node
//   client_claim    ->  cursor                         in clientInfo: no proof of anything
//   server_process  ->  user alice (uid 1000), /usr/bin/node, in /home/alice/work: node …/session-forge --db work.sqlite
#pragma once
#include <string>

#include "policy/caller.h"

namespace callgate {

// Its package, else its command, else its program.
std::string server_name(const Caller& caller);
std::string server_process(const Caller& caller);
// "" where the client is no process of this host; then its grant tells where it is. Never cut, and nothing in it that the client
// could choose but the path of its program, which stands last.
std::string client_process(const Caller& caller);
std::string client_claim(const Caller& caller);

}  // namespace callgate
