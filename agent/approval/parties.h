// Who asks, and what is asked, as a human who decides reads it. What the kernel says stands first.
//
//   server_name     ->  session-forge
//   server_process  ->  user alice (uid 1000), /usr/bin/node, in /home/alice/work: node …/session-forge --db work.sqlite
#pragma once
#include <string>

#include "policy/caller.h"

namespace callgate {

// Its package, else its command, else its program.
std::string server_name(const Caller& caller);
std::string server_process(const Caller& caller);

}  // namespace callgate
