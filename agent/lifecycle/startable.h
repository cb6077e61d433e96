// What callgate.json may say well, and no agent can start with all the same. Read only: nothing is made or changed.
#pragma once
#include "base/result.h"
#include "lifecycle/config.h"

namespace callgate {

// Paths are whole ones.
Status check_paths(const Config& config);
// That, and on this host: the processes of the scope are there, nobody else can write to the state directory, and the audit log
// can be written.
Status check_startable(const Config& config);

}  // namespace callgate
