/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
 *
 * What listen.bpf.c and every instance of steer.bpf.c share; listen.bpf.o makes it.
 */
#ifndef CALLGATE_ADDRESS_MAPS_BPF_H
#define CALLGATE_ADDRESS_MAPS_BPF_H

/* Addresses whose connections go to the agent. Writers: agent (absolute counts), listen hook (a listener has gone).
 * Full: the listener is reported blind. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CG_STEERED_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct cg_address);
    __type(value, struct cg_steered);
} steered SEC(".maps");

/* The agent's own connections to servers. Writer: agent, before it connects and before it closes.
 * Full: that connection cannot be made, the client gets 502. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CG_EXEMPT_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct cg_exempt);
    __type(value, __u8);
} exempt SEC(".maps");

#endif
