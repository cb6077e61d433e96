// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
//
// Whether programs of tp_btf can be preempted: a thread that asks makes a system call, and finds the answer in `preempted`.
// The kernel keeps a thread on its processor while it runs such a program: by disabling preemption, and where it does not do
// that (Linux 7.0), by disabling migration (rcu_read_lock_dont_migrate).
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

/* The thread that asks. Writer: agent, before loading. */
const volatile __u32 asker = 0;
bool preempted = false;

SEC("tp_btf/sys_exit")
int BPF_PROG(on_call, struct pt_regs* regs, long result) {
    if ((__u32)bpf_get_current_pid_tgid() != asker) return 0;
    struct task_struct* task = bpf_get_current_task_btf();
    preempted = bpf_core_field_exists(task->migration_disabled) && BPF_CORE_READ(task, migration_disabled);
    return 0;
}
