// What the agent may do beyond what any process may (capabilities(7)): the process at most, each thread what its work takes.
//
//   limit_capabilities(kOfAgent)        first of all; threads that are started then have the same
//   keep_capabilities(kOfFiles)         this thread and those it starts; nothing is ever given back
//
// packaging/ names the same ones (systemd, container, helm, apparmor): tests/e2e/test_confinement.py compares them.
#pragma once
#include <linux/capability.h>

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"

namespace callgate {

// One bit each.
using Capabilities = uint64_t;
constexpr Capabilities capability(int number) { return Capabilities{1} << number; }

// Other programs' files: which package a program in a private home is of. One's own, below a private directory.
constexpr Capabilities kOfFiles = capability(CAP_DAC_READ_SEARCH);

// The thread that relays. SYS_PTRACE: who is it that connects? NET_ADMIN: long messages through sockets in few turns.
// SYS_RESOURCE: more than 1,024 pipes that are of full size, more descriptors in the vault than it has open. BPF: the
// programs' maps (before Linux 5.19).
constexpr Capabilities kOfRelay =
    kOfFiles | capability(CAP_SYS_PTRACE) | capability(CAP_NET_ADMIN) | capability(CAP_SYS_RESOURCE) | capability(CAP_BPF);

// Those that watch and take over. SYS_PTRACE: other users' servers. SYS_ADMIN: sockets in containers' network namespaces,
// servers under a seccomp filter. BPF, PERFMON, NET_ADMIN: load and attach the programs. KILL: on_blind "kill". SYS_NICE: be
// there before a hold runs out (SCHED_FIFO).
constexpr Capabilities kOfAgent =
    kOfRelay | capability(CAP_SYS_ADMIN) | capability(CAP_PERFMON) | capability(CAP_KILL) | capability(CAP_SYS_NICE);

// `callgate guard` finds out what programs are, and ends servers.
constexpr Capabilities kOfGuard = kOfFiles | capability(CAP_SYS_PTRACE) | capability(CAP_KILL);

// Of this thread, and of every program that it could execute. While the process has one thread only. No program that it
// executes gets more than it has by being set-user-ID or having file capabilities.
Status limit_capabilities(Capabilities at_most);
Status keep_capabilities(Capabilities at_most);

// How many threads of this process hold each: {"CAP_BPF": 4, …}; those that have no name here by number.
std::map<std::string, int> held_capabilities();

}  // namespace callgate
