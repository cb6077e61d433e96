// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
//
// Listeners and who connects to them: every state change of a TCP socket passes here, and six of them matter.
//
//   -> LISTEN                 in listen(2), before the socket can be found by a packet: tell the agent and wait (bounded)
//                             until it has steered the address, so that no connection is quicker than that
//   LISTEN ->                 the listener goes: its address is let go at once, and the agent is told
//                             (without bind() it has no port yet, and a program that can be preempted must not wait: then the
//                             wait is at the end of the call, channel.bpf.c; nothing can have been accepted until then)
//   -> SYN_SENT               in connect(2): remember who connects to a steered port
//   SYN_SENT -> ESTABLISHED   from which port: the agent asks for it when it accepts the connection
//   SYN_RECV -> ESTABLISHED   the server's end of a connection of the agent's own: what is read there has been judged
//   -> CLOSE                  of such a one: it is forgotten
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "wire.h"
#include "maps.bpf.h"
#include "address_maps.bpf.h"
#include "emit.bpf.h"
#include "scope.bpf.h"
#include "hold.bpf.h"
#include "program.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define AF_INET 2
#define AF_INET6 10

/* Sockets in scope that listen. Writers: listen hook, agent (what listens at its start, the steered flag).
 * Full: counted as listeners_full; that listener's end is not noticed. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CG_LISTENERS_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u64);
    __type(value, struct cg_listener);
} listeners SEC(".maps");

/* Ports that are steered, in whatever namespace and family. Writer: agent. Full: peers there stay addresses. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CG_STEERED_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u16);
    __type(value, __u32);
} steered_ports SEC(".maps");

/* Connections being made to such a port, by socket. Writer: this file. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CG_CONNECTING_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u64);
    __type(value, struct cg_peer);
} connecting SEC(".maps");

/* Connections made to such a port. Writers: this file, agent (deletes what it has accepted). */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, CG_PEERS_MAX);
    __type(key, struct cg_connection);
    __type(value, struct cg_peer);
} peers SEC(".maps");

/* Programs that no policy names, whatever they listen on: listen(2) costs them nothing. Writer: agent. Least recently used
 * ones go: they are asked about again. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, CG_UNNAMED_MAX);
    __type(key, __u32);
    __type(value, struct cg_reader);
} unnamed SEC(".maps");

/* Set where programs of tp_btf can be preempted (channel.bpf.c). Writer: agent, before loading. */
const volatile bool preemptible = false;

/* The round of answers: what was said of a program under other policies is asked again. Writer: agent. */
__u32 answers_round = 0;

static __always_inline bool is_mapped(const __u8* address) {
    const __u32* words = (const __u32*)address;
    return words[0] == 0 && words[1] == 0 && words[2] == bpf_htonl(0xffff);
}

/* The local or the remote address of a socket; AF_INET also for what is IPv4 inside IPv6. */
static __always_inline __u16 read_address(const struct in6_addr* six, const __be32* four, __u16 family, __u8* into) {
    if (family == AF_INET6) {
        bpf_core_read(into, 16, six);
        if (!is_mapped(into)) return AF_INET6;
        __builtin_memset(into, 0, 16);
    }
    bpf_core_read(into, 4, four);
    return AF_INET;
}

static __always_inline void on_listen(const struct sock* sk) {
    __u64 id = bpf_get_current_pid_tgid();
    if (!in_scope(id >> 32)) return;
    struct cg_listen_event event = {};
    event.kind = CG_EVENT_LISTEN;
    event.tgid = id >> 32;
    event.program = reader_of(bpf_get_current_task_btf());
    event.program.state = answers_round;
    struct cg_reader* said = bpf_map_lookup_elem(&unnamed, &event.tgid);
    if (said && said->state == event.program.state && is_same_program(said, &event.program)) return;
    event.tid = (__u32)id;
    event.cookie = bpf_get_socket_cookie((void*)sk);
    event.since_ns = bpf_ktime_get_ns();
    event.bound_device = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);
    event.address.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
    event.address.port = BPF_CORE_READ(sk, __sk_common.skc_num);
    __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
    event.address.family = read_address(&sk->__sk_common.skc_v6_rcv_saddr, &sk->__sk_common.skc_rcv_saddr, family,
                                        event.address.bytes);
    const __u64* words = (const __u64*)event.address.bytes;
    if (event.address.family == AF_INET6 && !words[0] && !words[1] &&
        !BPF_CORE_READ_BITFIELD_PROBED(&sk->__sk_common, skc_ipv6only))
        event.flags |= CG_LISTENER_DUAL;

    struct cg_listener listener = {.address = event.address, .flags = event.flags, .tgid = event.tgid};
    if (bpf_map_update_elem(&listeners, &event.cookie, &listener, BPF_ANY)) count(CG_COUNT_LISTENERS_FULL);

    /* Without a port (no bind before listen) nobody can know the address yet. */
    __u32 tid = event.tid;
    __u8 one = 1;
    bool waits_here = event.address.port && !preemptible;
    if (hold_enabled && !waits_here && !bpf_map_update_elem(&unheld_listens, &tid, &one, BPF_ANY)) event.flags |= CG_LISTENER_WAITS;
    if (hold_enabled && waits_here) {
        struct cg_hold hold = {.state = CG_HOLDING, .tgid = event.tgid, .tid = tid, .since_ns = event.since_ns};
        if (bpf_map_update_elem(&holds, &tid, &hold, BPF_ANY)) {
            count(CG_COUNT_HOLDS_FULL);
        } else {
            event.flags |= CG_LISTENER_HELD;
        }
    }
    if (preemptible && event.flags & CG_LISTENER_WAITS) {
        emit_unhurried(&event, sizeof(event), CG_COUNT_LISTEN_SEEN, CG_COUNT_LISTEN_SENT);
        return;
    }
    bool sent = emit(&event, sizeof(event), CG_COUNT_LISTEN_SEEN, CG_COUNT_LISTEN_SENT);
    if (!(event.flags & CG_LISTENER_HELD)) return;
    if (!sent) {
        bpf_map_delete_elem(&holds, &tid);
    } else if (wait_for_answer(tid, event.since_ns, hold_ns_max)) {
        count(CG_COUNT_LISTEN_EXPIRED);
    }
}

static __always_inline void let_go(struct cg_address* address) {
    struct cg_steered* steer = bpf_map_lookup_elem(&steered, address);
    if (steer && steer->listeners) __sync_fetch_and_sub(&steer->listeners, 1);
}

static __always_inline void on_listener_gone(const struct sock* sk) {
    struct cg_listen_event event = {};
    event.cookie = bpf_get_socket_cookie((void*)sk);
    struct cg_listener* listener = bpf_map_lookup_elem(&listeners, &event.cookie);
    if (!listener) return;
    event.kind = CG_EVENT_LISTENER_GONE;
    event.address = listener->address;
    event.flags = listener->flags;
    event.tgid = listener->tgid;
    event.since_ns = bpf_ktime_get_ns();
    if (event.flags & CG_LISTENER_STEERED) {
        struct cg_address address = event.address;
        let_go(&address);
        if (event.flags & CG_LISTENER_DUAL) {
            address.family = AF_INET;
            let_go(&address);
        }
    }
    bpf_map_delete_elem(&listeners, &event.cookie);
    if (preemptible) {
        emit_unhurried(&event, sizeof(event), CG_COUNT_GONE_SEEN, CG_COUNT_GONE_SENT);
    } else {
        emit(&event, sizeof(event), CG_COUNT_GONE_SEEN, CG_COUNT_GONE_SENT);
    }
}

static __always_inline void on_connect(const struct sock* sk) {
    __u16 port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
    if (!bpf_map_lookup_elem(&steered_ports, &port)) return;
    __u64 socket = (__u64)sk;
    struct cg_reader program = reader_of(bpf_get_current_task_btf());
    struct cg_peer peer = {.tgid = bpf_get_current_pid_tgid() >> 32, .uid = program.uid, .start_ns = program.start_ns,
                           .exec_id = program.exec_id};
    if (peer.tgid != agent_tgid) bpf_map_update_elem(&connecting, &socket, &peer, BPF_ANY);
}

/* Such a connection does not leave its namespace. */
static __always_inline bool is_loopback(const struct cg_connection* connection) {
    if (connection->family == AF_INET) return connection->server[0] == 127;
    const __u32* words = (const __u32*)connection->server;
    return !words[0] && !words[1] && !words[2] && words[3] == bpf_htonl(1);
}

static __always_inline void on_connected(const struct sock* sk, int state) {
    __u64 socket = (__u64)sk;
    struct cg_peer* known = bpf_map_lookup_elem(&connecting, &socket);
    if (!known) return;
    struct cg_peer peer = *known;
    bpf_map_delete_elem(&connecting, &socket);
    if (state != TCP_ESTABLISHED) return;
    struct cg_connection key = {};
    key.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
    __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
    key.family = read_address(&sk->__sk_common.skc_v6_daddr, &sk->__sk_common.skc_daddr, family, key.server);
    read_address(&sk->__sk_common.skc_v6_rcv_saddr, &sk->__sk_common.skc_rcv_saddr, family, key.client);
    key.client_port = BPF_CORE_READ(sk, __sk_common.skc_num);
    key.server_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
    bpf_map_update_elem(&peers, &key, &peer, BPF_ANY);
    if (is_loopback(&key)) return;
    /* For a listener in another namespace: the addresses alone, as long as one connection at most has them. */
    struct cg_peer nobody = {};
    key.netns = 0;
    if (bpf_map_update_elem(&peers, &key, &peer, BPF_NOEXIST)) bpf_map_update_elem(&peers, &key, &nobody, BPF_ANY);
}

/* The exemption of a connection ends with the agent's end of it; what the server has not read by then stays judged. */
static __always_inline void on_accepted(const struct sock* sk) {
    struct cg_exempt key = {};
    __u8 client[16] = {};
    __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
    key.server.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
    key.server.port = BPF_CORE_READ(sk, __sk_common.skc_num);
    key.server.family = read_address(&sk->__sk_common.skc_v6_rcv_saddr, &sk->__sk_common.skc_rcv_saddr, family, key.server.bytes);
    key.client_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
    if (!bpf_map_lookup_elem(&exempt, &key)) return;
    read_address(&sk->__sk_common.skc_v6_daddr, &sk->__sk_common.skc_daddr, family, client);
    const __u64 *ours = (const __u64*)client, *servers = (const __u64*)key.server.bytes;
    if (ours[0] != servers[0] || ours[1] != servers[1]) return;
    __u64 cookie = bpf_get_socket_cookie((void*)sk);
    __u8 one = 1;
    bpf_map_update_elem(&judged_connections, &cookie, &one, BPF_ANY);
}

static __always_inline void on_closed(const struct sock* sk) {
    __u64 cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
    if (cookie) bpf_map_delete_elem(&judged_connections, &cookie);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, const struct sock* sk, const int before, const int after) {
    const __u32 of_interest = 1 << TCP_LISTEN | 1 << TCP_SYN_SENT;
    bool accepted = before == TCP_SYN_RECV && after == TCP_ESTABLISHED;
    if (!((1u << before | 1u << after) & of_interest) && !accepted && after != TCP_CLOSE) return 0;
    /* The socket of a connection is made as a copy of its listener. */
    if (before == TCP_LISTEN && after == TCP_SYN_RECV) return 0;
    /* Multipath TCP sockets listen too; their subflows come here as TCP ones. */
    __u16 protocol = BPF_CORE_READ(sk, sk_protocol);
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP) return 0;
    if (accepted) {
        on_accepted(sk);
    } else if (after == TCP_LISTEN) {
        on_listen(sk);
    } else if (before == TCP_LISTEN) {
        on_listener_gone(sk);
    } else if (after == TCP_SYN_SENT) {
        on_connect(sk);
    } else if (before == TCP_SYN_SENT) {
        on_connected(sk, after);
    } else {
        on_closed(sk);
    }
    return 0;
}
