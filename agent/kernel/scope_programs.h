// Scope, told to a BPF object that includes bpf/scope.bpf.h.
#pragma once
#include <unistd.h>

#include "base/result.h"
#include "kernel/scope.h"
#include "kernel/scope_cgroups.h"
#include "wire.h"

namespace callgate {

inline Status check_scope(const Scope& scope) {
    if (scope.cgroups.size() > CG_SCOPE_CGROUPS_MAX)
        return Error::invalid("scope", "more than " + std::to_string(CG_SCOPE_CGROUPS_MAX) + " cgroups");
    if (scope.users.size() > CG_SCOPE_USERS_MAX)
        return Error::invalid("scope", "more than " + std::to_string(CG_SCOPE_USERS_MAX) + " users");
    return check_cgroups(scope.cgroups);
}

// Between opening and loading. `rodata`: of the skeleton. The scope must have passed check_scope().
template <typename Rodata>
void write_scope(Rodata& rodata, const Scope& scope) {
    rodata.agent_tgid = getpid();
    rodata.scope_by_tree = !scope.trees.empty();
    rodata.scope_cgroup_count = scope.cgroups.size();
    rodata.scope_user_count = scope.users.size();
    for (size_t i = 0; i < scope.users.size(); ++i) rodata.scope_users[i] = scope.users[i];
}

}  // namespace callgate
