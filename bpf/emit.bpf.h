/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
#ifndef CALLGATE_EMIT_BPF_H
#define CALLGATE_EMIT_BPF_H

static __always_inline void count(__u32 which) {
    __u64* value = bpf_map_lookup_elem(&counters, &which);
    if (value) *value += 1;
}

/* The one way out: counts what was seen and what was sent, so that nothing is lost silently. */
static __always_inline bool put_out(void* event, __u32 bytes, __u32 seen, __u32 sent, __u64 wakeup) {
    count(seen);
    if (bpf_ringbuf_output(&events, event, bytes, wakeup)) {
        count(CG_COUNT_RING_FULL);
        return false;
    }
    count(sent);
    return true;
}

static __always_inline bool emit(void* event, __u32 bytes, __u32 seen, __u32 sent) {
    return put_out(event, bytes, seen, sent, BPF_RB_FORCE_WAKEUP);
}

/* The agent reads it when it is woken for something else, or within a second. */
static __always_inline bool emit_unhurried(void* event, __u32 bytes, __u32 seen, __u32 sent) {
    return put_out(event, bytes, seen, sent, BPF_RB_NO_WAKEUP);
}

#endif
