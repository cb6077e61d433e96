// Whom callgate may touch, as configured; the kernel programs hold the same rule (bpf/scope.bpf.h).
//
// In scope is a process that belongs to one of the trees or cgroups (where any is given) and to one of the users
// (where any is given). Nothing given: the host. The agent itself never is in scope.
#pragma once
#include <sys/types.h>

#include <string>
#include <unordered_set>
#include <vector>

#include "base/result.h"

namespace callgate {

struct Scope {
    std::vector<pid_t> trees;          // root processes
    std::vector<std::string> cgroups;  // directories of cgroup v2
    std::vector<uid_t> users;
};

// Enters the first process's cgroup namespace: with the host's process ids, as in a pod with hostPID, that of the host.
// Container engines give a container one of its own, and from there the paths of the host's processes begin with "/..": they
// name neither units nor containers, and lie below no directory (cgroup_namespaces(7)). It holds for this thread and those
// that it starts. Where the paths are the host's already nothing is done; needs CAP_SYS_PTRACE and CAP_SYS_ADMIN.
Status enter_cgroups_of_host();
// The processes that are in scope right now, the agent left out.
std::vector<pid_t> processes_in_scope(const Scope& scope);
// The given roots and all their descendants.
std::unordered_set<pid_t> descendants_of(const std::vector<pid_t>& roots);
// Where cgroup v2 is mounted ("/sys/fs/cgroup", or "…/unified" on hybrid hosts); empty where it is not.
std::string cgroup2_mount();
// The same of a controller of v1 ("memory"); "" is v2.
std::string cgroup_mount(const std::string& controller);
// v1 is in use, as on hybrid hosts: not for names alone.
bool has_cgroup1_controllers();
// Where a process is below that mount ("/system.slice/x.service"); empty where it is in no such hierarchy.
std::string cgroup_path(pid_t pid, const std::string& controller);

}  // namespace callgate
