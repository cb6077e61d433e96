// Confinement: what a thread of the agent may ask of the kernel, by a filter (seccomp(2), libseccomp).
//
//   confine_this_thread();        it, and whatever threads it starts from then on, for good
//
// Who is under a filter may not suspend another's (PTRACE_O_SUSPEND_SECCOMP), and a server in a sandbox could
// then not be taken over. So threads that trace are started by one that stays free; all others are confined
// from their beginning, and whatever is added to the agent is too, unless somebody decides otherwise.
//
// It keeps who has found a way into a parser of the agent's from what no part of it does. It is no wall
// between threads: they share their memory.
#pragma once
#include <cstddef>

#include "base/result.h"

namespace callgate {

// An error where this kernel has no filters: nothing has changed then.
Status confine_this_thread();

// Of this process, as the kernel tells it.
struct ConfinedThreads {
    size_t confined = 0, free = 0;
};
ConfinedThreads confined_threads();

}  // namespace callgate
