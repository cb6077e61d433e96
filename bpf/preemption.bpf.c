// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
//
// Whether programs on tracepoints can be preempted: a thread that asks makes a system call, and finds the answer in `preempted`.
// The kernel keeps a thread on its processor while it runs such a program: by disabling preemption, and where it does not do
// that (Linux 7.0), by disabling migration (rcu_read_lock_dont_migrate).
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

/* The thread that asks, and where in its task_struct `migration_disabled` is: given, so that the kernel's types need not be
 * read for this alone. Writer: agent, before loading. */
const volatile __u32 asker = 0;
const volatile __u32 migration_disabled = 0;
bool preempted = false;

SEC("raw_tp/sys_exit")
int on_call(void* context) {
    if ((__u32)bpf_get_current_pid_tgid() != asker) return 0;
    unsigned short times = 0;
    bpf_probe_read_kernel(&times, sizeof(times), (const void*)(bpf_get_current_task() + migration_disabled));
    preempted = times;
    return 0;
}
