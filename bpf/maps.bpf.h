/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
#ifndef CALLGATE_MAPS_BPF_H
#define CALLGATE_MAPS_BPF_H

/* Channels that are watched. Writers: exec hook (pending), agent (watch, delete). Reader: read hook.
 * Full: counted as channels_full, the new server is not seen. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CG_CHANNELS_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct cg_channel_key);
    __type(value, struct cg_channel);
} channels SEC(".maps");

/* Threads that wait. Writer: read hook (insert), agent (release, delete). Full: counted, not held. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CG_HOLDS_MAX);
    __type(key, __u32);
    __type(value, struct cg_hold);
} holds SEC(".maps");

/* Processes whose exit waits for the last of their output. Writer: agent (insert, delete), exit hook (delete).
 * Full: the agent goes without. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CG_GOVERNED_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u32);
    __type(value, __u32);
} governed SEC(".maps");

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
