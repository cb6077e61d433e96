// What callgate.json may say well, and no agent can start with all the same. Read only: nothing is made or changed.
#pragma once
#include "base/result.h"
#include "lifecycle/config.h"

namespace callgate {

// Paths are whole ones.
Status check_paths(const Config& config);
// That, and on this host: the processes of the scope are there, its cgroups are such, nobody else can write to the state
// directory or put something in the place of the audit log and the control socket, the audit log can be written, and what is
// there already (the hash's secret, state.db, the control socket's place, a webhook's secret and library) is as whoever opens it
// will want it.
Status check_startable(const Config& config);

}  // namespace callgate
