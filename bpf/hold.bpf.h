/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
 *
 * How a thread is kept waiting in the kernel: its program puts an entry into `holds`, tells the agent, and looks at the
 * entry until the agent has taken it away (released) or the time is over.
 */
#ifndef CALLGATE_HOLD_BPF_H
#define CALLGATE_HOLD_BPF_H

/* Writer: agent, before loading. */
const volatile __u64 hold_ns_max = 0;

/* False until the agent is ready to answer, and again before it goes. Writer: agent. */
bool hold_enabled = false;

struct wait {
    __u32 tid;
    __u64 deadline_ns;
};

static long wait_step(__u32 index, struct wait* wait) {
    struct cg_hold* hold = bpf_map_lookup_elem(&holds, &wait->tid);
    if (!hold || *(volatile __u64*)&hold->state != CG_HOLDING) return 1;
    return bpf_ktime_get_ns() >= wait->deadline_ns;
}

/* True where nobody answered in time; the entry then says so, and is the agent's to delete. */
static __always_inline bool wait_for_answer(__u32 tid, __u64 since_ns, __u64 hold_ns) {
    struct wait wait = {.tid = tid, .deadline_ns = since_ns + hold_ns};
    bpf_loop(1 << 23, wait_step, &wait, 0); /* the most there can be: the time is over sooner */
    struct cg_hold* now = bpf_map_lookup_elem(&holds, &tid);
    return now && __sync_val_compare_and_swap(&now->state, CG_HOLDING, CG_EXPIRED) == CG_HOLDING;
}

#endif
