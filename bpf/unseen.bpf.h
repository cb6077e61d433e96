/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
 *
 * Reads whose bytes nobody can take back: splice(2) and tee(2) move them into another pipe, io_uring reads when no thread of
 * the server is there to be held. The agent is told of the first, so that it can say it and take over what comes after.
 */
#ifndef CALLGATE_UNSEEN_BPF_H
#define CALLGATE_UNSEEN_BPF_H

/* Of linux/io_uring.h, which vmlinux.h does not have by value on every kernel. */
#define RING_READV 1
#define RING_READ_FIXED 4
#define RING_RECVMSG 10
#define RING_READ 22
#define RING_RECV 27
#define RING_SPLICE 30
#define RING_TEE 33
#define RING_READ_MULTISHOT 49
#define RING_RECV_ZC 58
#define RING_READV_FIXED 60
#define RING_REGISTERED_FILE 1 /* in the flags of a request: its number is no descriptor */

static __always_inline bool ring_reads(__u8 operation) {
    const __u64 reads = 1ull << RING_READV | 1ull << RING_READ_FIXED | 1ull << RING_RECVMSG | 1ull << RING_READ |
                        1ull << RING_RECV | 1ull << RING_SPLICE | 1ull << RING_TEE | 1ull << RING_READ_MULTISHOT |
                        1ull << RING_RECV_ZC | 1ull << RING_READV_FIXED;
    return operation < 64 && (reads >> operation & 1);
}

/* Channels of which the agent has been told so, and has said nothing since: a loop of such reads is one event. Writers: here
 * (insert), agent (delete, whenever it says what becomes of the channel). Least recently used ones go: they are told again. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, CG_PASSED_MAX);
    __type(key, struct cg_channel_key);
    __type(value, __u8);
} told SEC(".maps");

/* `fd`: -1 where no descriptor is known; then only what is watched by itself counts. */
static __noinline int on_unseen(struct file* file, __s32 fd, __s64 number) {
    struct cg_event event = {};
    event.channel_kind = channel_of_file(file, &event.channel);
    if (event.channel_kind == CG_KIND_NONE) return 0;
    __u64 id = bpf_get_current_pid_tgid();
    event.tgid = id >> 32;
    event.tid = (__u32)id;
    event.hold.syscall = (__u32)number;
    event.hold.fd = fd;
    find_state(bpf_get_current_task_btf(), file, &event, fd >= 0);
    if (!event.channel_state || !in_scope(event.tgid)) return 0;
    event.kind = CG_EVENT_UNSEEN;
    event.hold.since_ns = bpf_ktime_get_ns();
    __u8 one = 1;
    if (bpf_map_lookup_elem(&told, &event.channel)) return 0;
    bpf_map_update_elem(&told, &event.channel, &one, BPF_ANY);
    if (!emit(&event, sizeof(event), CG_COUNT_UNSEEN_SEEN, CG_COUNT_UNSEEN_SENT)) bpf_map_delete_elem(&told, &event.channel);
    return 0;
}

static __always_inline int on_ring_request(const struct io_kiocb* request) {
    if (!hold_enabled || is_agent()) return 0;
    __u8 operation = BPF_CORE_READ(request, opcode);
    if (!ring_reads(operation) || (BPF_CORE_READ(request, flags) & RING_REGISTERED_FILE)) return 0;
    __s32 fd = BPF_CORE_READ(request, cqe.fd);
    if (operation == RING_SPLICE || operation == RING_TEE) fd = BPF_CORE_READ((const struct io_splice*)request, splice_fd_in);
    return on_unseen(file_of(bpf_get_current_task_btf(), (__u32)fd), fd, SYS_io_uring_enter);
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(on_ring_submit, const struct io_kiocb* request) { return on_ring_request(request); }

/* The same before Linux 6.4. */
SEC("tp_btf/io_uring_submit_sqe")
int BPF_PROG(on_ring_submit_before, const struct io_kiocb* request) { return on_ring_request(request); }

/* What was submitted before the agent was there, or before its descriptor was replaced; and files that the ring knows by
 * numbers of its own. */
SEC("tp_btf/io_uring_complete")
int BPF_PROG(on_ring_complete, void* ring, const struct io_kiocb* request) {
    if (!hold_enabled || !request || is_agent()) return 0;
    __u8 operation = BPF_CORE_READ(request, opcode);
    if (!ring_reads(operation) || BPF_CORE_READ(request, cqe.res) <= 0) return 0;
    if (operation == RING_SPLICE || operation == RING_TEE) return 0; /* its file is the one that is written to */
    return on_unseen(BPF_CORE_READ(request, file), -1, SYS_io_uring_enter);
}

#endif
