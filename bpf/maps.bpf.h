/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
#ifndef CALLGATE_MAPS_BPF_H
#define CALLGATE_MAPS_BPF_H

/* The maps that every object of bpf/ shares: channel.bpf.o makes them, the others use the same ones. */

/* Threads that wait. Writer: read and listen hooks (insert), agent (release, delete). Full: counted, not held. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CG_HOLDS_MAX);
    __type(key, __u32);
    __type(value, struct cg_hold);
} holds SEC(".maps");

/* Processes of the scoped trees. Writers: agent (roots and what runs at start), fork and exit hooks. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CG_SCOPE_PIDS_MAX);
    __type(key, __u32);
    __type(value, __u32);
} scope_pids SEC(".maps");

/* Scoped cgroups v2. Writer: agent, before attaching. */
struct {
    __uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
    __uint(max_entries, CG_SCOPE_CGROUPS_MAX);
    __type(key, __u32);
    __type(value, __u32);
} scope_cgroups SEC(".maps");

/* Servers' ends of the agent's own connections, by socket cookie: what is read there has been judged. Writer: listen object.
 * Full: the exemption alone tells. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CG_EXEMPT_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u64);
    __type(value, __u8);
} judged_connections SEC(".maps");

/* Threads in a listen() at whose end they are to be held. Writers: listen object (insert), read hook (delete). */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, CG_UNHELD_MAX);
    __type(key, __u32);
    __type(value, __u8);
} unheld_listens SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, CG_RING_BYTES);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, CG_COUNT_MAX);
    __type(key, __u32);
    __type(value, __u64);
} counters SEC(".maps");

#endif
