// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
//
// Steering: a connection to a steered address goes to the agent's listener instead, in whatever direction it comes.
// The agent's own connections to servers pass: they come from the server's own address, which nobody else on the
// network can have, and from a port that is the agent's alone while it is listed in `exempt` and the agent lives. This program
// may outlive it, so that connections wait for the next one: then nothing passes.
//
// One instance for each network namespace, told which when it is attached: it is loaded before it is needed, because a
// thread is held meanwhile. Its context is a stable interface, so nothing is relocated and the kernel's types need not be
// read.
#define BPF_NO_PRESERVE_ACCESS_INDEX
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "wire.h"
#include "address_maps.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define AF_INET 2

/* Inode number of the namespace. Writer: agent, before it attaches. */
__u32 netns = 0;

/* The agent's listeners of this namespace: 0 IPv4, 1 IPv6. 2: a socket that goes with the agent. Writer: agent; the kernel
 * takes out what is closed. */
struct {
    __uint(type, BPF_MAP_TYPE_SOCKMAP);
    __uint(max_entries, 3);
    __type(key, __u32);
    __type(value, __u64);
} agent_listeners SEC(".maps");

static __always_inline bool is_steered(struct cg_address* address) {
    struct cg_steered* found = bpf_map_lookup_elem(&steered, address);
    return found && found->listeners;
}

static __always_inline bool agent_lives(void) {
    __u32 which = 2;
    struct bpf_sock* socket = bpf_map_lookup_elem(&agent_listeners, &which);
    if (socket) bpf_sk_release(socket);
    return socket;
}

SEC("sk_lookup")
int steer(struct bpf_sk_lookup* packet) {
    if (packet->protocol != IPPROTO_TCP) return SK_PASS;
    struct cg_exempt key = {};
    bool same_host;
    key.server.netns = netns;
    key.server.family = packet->family;
    key.server.port = packet->local_port;
    __u32* words = (__u32*)key.server.bytes;
    if (packet->family == AF_INET) {
        words[0] = packet->local_ip4;
        same_host = packet->remote_ip4 == words[0];
    } else {
        words[0] = packet->local_ip6[0];
        words[1] = packet->local_ip6[1];
        words[2] = packet->local_ip6[2];
        words[3] = packet->local_ip6[3];
        same_host = packet->remote_ip6[0] == words[0] && packet->remote_ip6[1] == words[1] &&
                    packet->remote_ip6[2] == words[2] && packet->remote_ip6[3] == words[3];
    }
    struct cg_address any = {.netns = netns, .family = packet->family, .port = packet->local_port};
    if (!is_steered(&key.server) && !is_steered(&any)) return SK_PASS;
    key.client_port = bpf_ntohs(packet->remote_port);
    if (same_host && bpf_map_lookup_elem(&exempt, &key) && agent_lives()) return SK_PASS;

    /* From here on nothing may reach the server past the agent. */
    __u32 which = packet->family == AF_INET ? 0 : 1;
    struct bpf_sock* listener = bpf_map_lookup_elem(&agent_listeners, &which);
    if (!listener) return SK_DROP;
    long refused = bpf_sk_assign(packet, listener, 0);
    bpf_sk_release(listener);
    return refused ? SK_DROP : SK_PASS;
}
