/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
 *
 * Whom callgate may touch. A process is in scope when it belongs to one of the given trees or cgroups (where any is
 * given) and to one of the given users (where any is given). The agent itself never is.
 */
#ifndef CALLGATE_SCOPE_BPF_H
#define CALLGATE_SCOPE_BPF_H

const volatile __u32 agent_tgid = 0;
const volatile bool scope_by_tree = false;
const volatile __u32 scope_cgroup_count = 0;
const volatile __u32 scope_user_count = 0;
const volatile __u32 scope_users[CG_SCOPE_USERS_MAX] = {};

/* Its relay reads more through io_uring than anybody else. */
static __always_inline bool is_agent(void) { return bpf_get_current_pid_tgid() >> 32 == agent_tgid; }

static __always_inline bool in_scope(__u32 tgid) {
    if (tgid == agent_tgid) return false;
    if (scope_user_count) {
        __u32 uid = (__u32)bpf_get_current_uid_gid();
        bool listed = false;
        for (__u32 i = 0; i < CG_SCOPE_USERS_MAX; i++) {
            if (i >= scope_user_count) break;
            if (scope_users[i] == uid) listed = true;
        }
        if (!listed) return false;
    }
    if (!scope_by_tree && !scope_cgroup_count) return true;
    if (scope_by_tree && bpf_map_lookup_elem(&scope_pids, &tgid)) return true;
    for (__u32 i = 0; i < CG_SCOPE_CGROUPS_MAX; i++) {
        if (i >= scope_cgroup_count) break;
        if (bpf_current_task_under_cgroup(&scope_cgroups, i) == 1) return true;
    }
    return false;
}

#endif
