// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
//
// Candidates, detection and hold: which pipes and sockets may be MCP servers' inputs, and who reads from them.
//
//   on_exec   a program starts with a pipe or AF_UNIX stream socket on 0 and on 1: its input is marked `pending`
//             or with a socket on 0 that nothing can be put before: tell the agent
//   on_read   a read of a marked channel has returned bytes: tell the agent, wait (bounded) before they reach user code
//             or one of a connection that was accepted, by whoever the agent has not left alone (readers.bpf.h)
//             or it was read in a way that cannot be undone: tell the agent (unseen.bpf.h)
//             or listen(2) has succeeded, on an AF_UNIX socket or without bind(): tell the agent, wait before anything can
//             be accepted
//   on_exit   a governed process ends: its parent shall learn of it only after the last of its output (see there)
//   on_fork,
//   on_exit   who belongs to the scoped process trees
//
// What waits, or wakes the agent, must not be preempted meanwhile: where one thread is inside a program, the kernel leaves the
// same program out for whoever else comes by on that processor. Programs of tp_btf are not preempted before Linux 7.0; since
// then the same functions run as programs of perf events, which never are (agent/kernel/waiting.h).
//
// The mark is on the channel, not on the process: npx -> sh -> node inherit it, forks inherit it, dup() moves it.
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "wire.h"
#include "maps.bpf.h"
#include "emit.bpf.h"
#include "scope.bpf.h"
#include "hold.bpf.h"
#include "system_calls.bpf.h"
#include "program.bpf.h"
#include "readers.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define S_IFMT 0170000
#define S_IFIFO 0010000
#define S_IFSOCK 0140000
#define SIGNAL_GROUP_EXIT 0x4

/* Channels that are watched. Writers: exec hook (pending), agent (watch, delete). Reader: read hook.
 * Full: counted as channels_full, the new server is not seen. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CG_CHANNELS_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct cg_channel_key);
    __type(value, struct cg_channel);
} channels SEC(".maps");

/* Processes whose exit waits for the last of their output. Writer: agent (insert, delete), exit hook (delete).
 * Full: the agent goes without. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CG_GOVERNED_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u32);
    __type(value, __u32);
} governed SEC(".maps");

/* Exits held at once: a held thread keeps its processor, and the agent needs one. 0 where there is only one. */
const volatile __u32 exit_holds_max = 0;
__u32 exit_holds = 0;

/* Threads of the agent that answer holds, the processors that they sleep on, and how many of those are occupied by held
 * threads. Writers: note_agent_thread(); agent; hold_here(). */
__u64 agent_threads[CG_AGENT_THREADS] = {};
__u32 agent_processors[CG_AGENT_THREADS] = {};
__u32 occupied = 0;

static __always_inline struct file* file_of(struct task_struct* task, __u32 fd) {
    struct fdtable* table = BPF_CORE_READ(task, files, fdt);
    if (!table || fd >= BPF_CORE_READ(table, max_fds)) return NULL;
    struct file** slots = BPF_CORE_READ(table, fd);
    struct file* file = NULL;
    return bpf_probe_read_kernel(&file, sizeof(file), slots + fd) ? NULL : file;
}

/* The channel behind a descriptor of the current process; CG_KIND_NONE where it is nothing that is watched. */
static __always_inline __u32 channel_of_file(struct file* file, struct cg_channel_key* key) {
    if (!file) return CG_KIND_NONE;
    struct inode* inode = BPF_CORE_READ(file, f_inode);
    __u32 type = BPF_CORE_READ(inode, i_mode) & S_IFMT;
    __u32 kind;
    if (type == S_IFIFO) {
        kind = CG_KIND_PIPE;
    } else if (type == S_IFSOCK) {
        struct socket* socket = BPF_CORE_READ(file, private_data);
        if (BPF_CORE_READ(socket, type) != SOCK_STREAM) return CG_KIND_NONE;
        __u16 family = BPF_CORE_READ(socket, sk, __sk_common.skc_family);
        if (family == AF_UNIX) {
            kind = CG_KIND_UNIX;
        } else if (accepted_watched && (family == AF_INET || family == AF_INET6)) {
            kind = CG_KIND_TCP;
        } else {
            return CG_KIND_NONE;
        }
    } else {
        return CG_KIND_NONE;
    }
    key->inode = BPF_CORE_READ(inode, i_ino);
    key->device = BPF_CORE_READ(inode, i_sb, s_dev);
    key->padding = 0;
    return kind;
}

static __always_inline __u32 channel_of(struct task_struct* task, __u32 fd, struct cg_channel_key* key) {
    return channel_of_file(file_of(task, fd), key);
}

/* A socket of packets, or one that this side has connected over TCP: its reads are not held, and no listener leads to it. */
static __always_inline bool is_out_of_reach(struct file* file) {
    struct sock* sk = sock_of(file);
    return sk && (BPF_CORE_READ(sk, sk_type) != SOCK_STREAM || called_connect(sk));
}

static __noinline int note_candidate(struct task_struct* task) {
    __u32 tgid = bpf_get_current_pid_tgid() >> 32;
    if (!in_scope(tgid)) return 0;
    struct cg_event event = {};
    struct file* input = file_of(task, 0);
    event.channel_kind = channel_of_file(input, &event.channel);
    bool watchable = event.channel_kind == CG_KIND_PIPE || event.channel_kind == CG_KIND_UNIX;
    if (!watchable && !(accepted_watched && is_out_of_reach(input))) return 0;
    if (!watchable) event.channel_kind = CG_KIND_NONE;
    __u32 output_kind = channel_of(task, 1, &event.output);
    bool has_output = output_kind == CG_KIND_PIPE || output_kind == CG_KIND_UNIX;
    /* Zero says that there is none: a file, say, before which nothing can be put. The first read tells of it. */
    if (!has_output) __builtin_memset(&event.output, 0, sizeof(event.output));

    struct cg_channel* known = bpf_map_lookup_elem(&channels, &event.channel);
    if (!has_output && known && known->state != CG_PENDING) return 0;  /* whoever reads it is held already */
    event.channel_state = known ? known->state : 0;
    if (watchable && (!known || known->state != CG_WATCH)) {
        struct cg_channel fresh = {};
        fresh.state = CG_PENDING;
        fresh.kind = event.channel_kind;
        fresh.pid = tgid;
        fresh.output = event.output;
        if (bpf_map_update_elem(&channels, &event.channel, &fresh, BPF_ANY)) count(CG_COUNT_CHANNELS_FULL);
    }
    event.kind = CG_EVENT_EXEC;
    event.tgid = tgid;
    event.tid = (__u32)bpf_get_current_pid_tgid();
    event.cpu = bpf_get_smp_processor_id();
    emit(&event, sizeof(event), CG_COUNT_EXEC_SEEN, CG_COUNT_EXEC_SENT);
    return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct* task, pid_t old_pid, struct linux_binprm* program) { return note_candidate(task); }

SEC("tp")
int on_exec_unpreempted(void* context) { return note_candidate(bpf_get_current_task_btf()); }

/* Called by each of the agent's threads that answer holds, with its number. */
SEC("syscall")
int note_agent_thread(const volatile __u32* number) {
    __u32 thread = *number;
    if (thread < CG_AGENT_THREADS) agent_threads[thread] = (__u64)bpf_get_current_task();
    return 0;
}

static __always_inline bool is_agent_processor(__u32 cpu) {
    for (int i = 0; i < CG_AGENT_THREADS; i++)
        if (agent_processors[i] == cpu) return true;
    return false;
}

/* One of them waits for this processor, awake; or it is not known which threads they are. */
static __always_inline bool agent_is_next(__u32 cpu) {
    for (int i = 0; i < CG_AGENT_THREADS; i++) {
        struct task_struct* thread = (struct task_struct*)agent_threads[i];
        if (!thread || (agent_processors[i] == cpu && BPF_CORE_READ(thread, on_rq))) return true;
    }
    return false;
}

static long wake_step(__u32 index, struct wait* wait) {
    struct cg_hold* hold = bpf_map_lookup_elem(&holds, &wait->tid);
    return !hold || agent_is_next(bpf_get_smp_processor_id()) || bpf_ktime_get_ns() >= wait->deadline_ns;
}

/* Reads in a row that nobody answered. An agent that has stopped answering costs the others less. */
__u32 unanswered = 0;

static __always_inline bool wait_as_long_as_sensible(__u32 tid, __u64 since_ns, bool reads) {
    __u64 hold_ns = reads && unanswered >= CG_UNANSWERED_MAX ? hold_ns_max / CG_IMPATIENCE : hold_ns_max;
    bool expired = wait_for_answer(tid, since_ns, hold_ns);
    if (expired) {
        __sync_fetch_and_add(&unanswered, 1);
    } else if (unanswered) {
        unanswered = 0;
    }
    return expired;
}

static __always_inline int hold_there(struct cg_event* event, __u32 seen, __u32 sent, __u32 tid, bool yields) {
    struct cg_hold hold = event->hold;
    if (bpf_map_update_elem(&holds, &tid, &hold, BPF_ANY)) {
        count(CG_COUNT_HOLDS_FULL);
        return 0;
    }
    if (!emit(event, sizeof(*event), seen, sent)) {
        bpf_map_delete_elem(&holds, &tid);
        return 0;
    }
    bool reads = event->kind == CG_EVENT_READ;
    if (yields) {
        struct wait wait = {.tid = tid, .deadline_ns = event->hold.since_ns + hold_ns_max};
        bpf_loop(1 << 23, wake_step, &wait, 0);
    } else if (wait_as_long_as_sensible(tid, event->hold.since_ns, reads)) {
        if (!reads) {
            /* Of an exit the agent counts this itself: it may have answered, and have been too slow to say so. */
            if (event->kind != CG_EVENT_EXIT) count(CG_COUNT_LISTEN_EXPIRED);
            bpf_map_delete_elem(&holds, &tid);
            return 1;
        }
        event->kind = CG_EVENT_EXPIRED;
        emit(event, sizeof(*event), CG_COUNT_EXPIRED_SEEN, CG_COUNT_EXPIRED_SENT);
    }
    return 1;
}

/* Global, so that the verifier looks at it once, and not once for each way that leads to it.
 * Tells the agent and waits for its answer, not longer than hold_ns_max: 1; 0: it could not be told. The wait ends in one of
 * three ways: the agent released it (having asked for a ptrace stop or not), or the time is over and the agent is told.
 * A waiting thread keeps its processor. Were both of those occupied that the agent's threads sleep on, neither could
 * answer: so the second one waits only until the agent's thread there has been woken, which then runs first, because it has
 * the higher priority and this one is on its way to user code. */
__noinline int hold_here(struct cg_event* event) {
    if (!event) return 0;
    __u32 tid = event->tid;
    bool reads = event->kind == CG_EVENT_READ;
    __u32 seen = CG_COUNT_READ_SEEN, sent = CG_COUNT_READ_SENT;
    if (event->kind == CG_EVENT_EXIT) {
        seen = CG_COUNT_EXIT_SEEN;
        sent = CG_COUNT_EXIT_SENT;
    } else if (event->kind == CG_EVENT_UNIX_LISTEN || event->kind == CG_EVENT_LISTENED) {
        seen = CG_COUNT_LISTEN_SEEN;
        sent = CG_COUNT_LISTEN_SENT;
    }
    bool occupies = is_agent_processor(event->cpu);
    bool yields = occupies && __sync_fetch_and_add(&occupied, 1) && reads;
    if (yields) event->hold.state = CG_YIELDED;
    int held = hold_there(event, seen, sent, tid, yields);
    if (occupies) __sync_fetch_and_add(&occupied, -1);
    return held;
}

static __noinline int on_listened(struct task_struct* task, __u32 fd) {
    struct cg_event event = {};
    __u64 id = bpf_get_current_pid_tgid();
    event.tgid = id >> 32;
    event.tid = (__u32)id;
    if (bpf_map_lookup_elem(&unheld_listens, &event.tid)) {
        bpf_map_delete_elem(&unheld_listens, &event.tid);
        event.kind = CG_EVENT_LISTENED;
        event.channel_kind = CG_KIND_TCP;
    } else {
        struct sock* sk = sock_of(file_of(task, fd));
        if (!sk || BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX) return 0;
        event.channel.inode = bound_file_of(sk);
        event.kind = CG_EVENT_UNIX_LISTEN;
        event.channel_kind = CG_KIND_UNIX;
    }
    if (!in_scope(event.tgid)) return 0;
    event.cpu = bpf_get_smp_processor_id();
    event.hold.state = CG_HOLDING;
    event.hold.tgid = event.tgid;
    event.hold.tid = event.tid;
    event.hold.fd = (__s32)fd;
    event.hold.since_ns = bpf_ktime_get_ns();
    event.reader = reader_of(task);
    hold_here(&event);
    return 0;
}

/* What is known of the channel of an event, and of its reader where nothing is known of the channel. */
static __noinline int find_state(struct task_struct* task, struct file* file, struct cg_event* event, int ask) {
    if (!event) return 0;
    struct cg_channel_key key = event->channel;
    struct cg_channel* channel = bpf_map_lookup_elem(&channels, &key);
    event->output = channel ? channel->output : event->channel;
    if (channel && channel->state == CG_SWAPPING) {
        event->channel = channel->output;
        event->channel_kind = channel->kind;
        event->channel_state = CG_WATCH;
    } else if (channel) {
        event->channel_state = channel->state;
    } else if (ask) {
        event->channel_state = accepted_state(task, file, event);
    }
    return 0;
}

#include "unseen.bpf.h"

static __noinline int on_bytes(struct pt_regs* regs, __s64 number, long result) {
    struct task_struct* task = bpf_get_current_task_btf();
    struct cg_event event = {};
    __u32 fd = (__u32)argument_1(regs);
    struct file* file = file_of(task, fd);
    event.channel_kind = channel_of_file(file, &event.channel);
    if (event.channel_kind == CG_KIND_NONE) return 0;
    __u64 id = bpf_get_current_pid_tgid();
    event.tgid = id >> 32;
    event.tid = (__u32)id;
    event.hold.syscall = (__u32)number;
    event.hold.buffer = argument_2(regs);
    event.hold.length = argument_3(regs);
    event.hold.result = result;
    find_state(task, file, &event, 1);
    if (!event.channel_state || !in_scope(event.tgid)) return 0;
    event.kind = CG_EVENT_READ;
    event.cpu = bpf_get_smp_processor_id();
    event.hold.state = CG_HOLDING;
    event.hold.tgid = event.tgid;
    event.hold.tid = event.tid;
    event.hold.fd = (__s32)fd;
    event.hold.references = references_of(file);
    event.hold.instruction = PT_REGS_IP(regs);
    event.hold.stack = PT_REGS_SP(regs);
    if (number == SYS_recvfrom || number == SYS_recvmmsg) event.hold.flags = (__u32)argument_4(regs);
    if (number == SYS_recvmsg) event.hold.flags = (__u32)argument_3(regs);
    event.hold.since_ns = bpf_ktime_get_ns();
    event.hold.channel = event.channel;
    hold_here(&event);
    return 0;
}

/* The frames of what calls each other may hold 512 bytes together, and an event is 176: so each kind of event has a
 * function of its own, and this one has none. */
static __always_inline int on_call_end(struct pt_regs* regs, __s64 number, long result) {
    if (result == 0) return number == SYS_listen ? on_listened(bpf_get_current_task_btf(), (__u32)argument_1(regs)) : 0;
    switch (number) {
        case SYS_read:
        case SYS_recvfrom:
        case SYS_readv:
        case SYS_recvmsg:
        case SYS_recvmmsg:
        case SYS_preadv2: return on_bytes(regs, number, result);
        case SYS_splice:
        case SYS_tee: return on_unseen(file_of(bpf_get_current_task_btf(), (__u32)argument_1(regs)), (__s32)argument_1(regs), number);
        default: return 0;
    }
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_read, struct pt_regs* regs, long result) {
    if (result < 0 || !hold_enabled) return 0;
    return on_call_end(regs, syscall_number(regs), result);
}

/* As in events/raw_syscalls/sys_exit/format of tracefs. */
struct call_end {
    __u64 common; /* not for programs to read */
    __s64 number;
    __s64 result;
};

SEC("tp")
int on_read_unpreempted(struct call_end* call) {
    if (call->result < 0 || !hold_enabled) return 0;
    struct pt_regs* regs = (struct pt_regs*)bpf_task_pt_regs(bpf_get_current_task_btf());
    return on_call_end(regs, call->number, call->result);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct* parent, struct task_struct* child) {
    __u32 parent_tgid = parent->tgid, child_tgid = child->tgid, one = 1;
    if (child->pid != child->tgid || !bpf_map_lookup_elem(&scope_pids, &parent_tgid)) return 0;
    if (bpf_map_update_elem(&scope_pids, &child_tgid, &one, BPF_ANY)) count(CG_COUNT_SCOPE_FULL);
    return 0;
}

/* Somebody waits for the process by a pidfd. That becomes readable whoever traces the process, and then there would be
 * nothing to wait for yet: Tokio, for one, takes that to be impossible. */
static __always_inline bool is_polled(struct task_struct* task) {
    struct pid* pid = task->thread_pid;
    struct list_head* waiting = &pid->wait_pidfd.head;
    return BPF_CORE_READ(waiting, next) != waiting;
}

/* The agent answers by seizing the process, which does not stop it: it closes its files and becomes a zombie, of which
 * the kernel tells the tracer first. When the agent has passed the rest of the output on it reaps it, and only then is the
 * parent told. Order in the kernel (do_exit): this hook, exit_files(), exit_notify(). */
static __always_inline void hold_exit(struct task_struct* task) {
    struct cg_event event = {};
    event.kind = CG_EVENT_EXIT;
    event.tgid = task->tgid;
    event.tid = task->pid;
    event.cpu = bpf_get_smp_processor_id();
    event.hold.state = CG_HOLDING;
    event.hold.tgid = event.tgid;
    event.hold.tid = event.tid;
    event.hold.since_ns = bpf_ktime_get_ns();
    if (__sync_fetch_and_add(&exit_holds, 1) >= exit_holds_max || !hold_here(&event)) count(CG_COUNT_EXIT_UNHELD);
    __sync_fetch_and_add(&exit_holds, -1);
}

static __noinline int on_thread_end(struct task_struct* task) {
    __u32 tgid = task->tgid;
    /* A leader may end before its process: by itself, or because another thread executes a program. */
    bool is_leader = task->pid == task->tgid, is_last = task->signal->live.counter == 0;
    if (is_last && scope_by_tree) bpf_map_delete_elem(&scope_pids, &tgid);
    if (!is_last && !(is_leader && task->signal->flags & SIGNAL_GROUP_EXIT)) return 0;
    if (!bpf_map_lookup_elem(&governed, &tgid)) return 0;
    bpf_map_delete_elem(&governed, &tgid);
    /* A leader that ended before can no longer be seized. */
    if (hold_enabled && is_leader && !is_polled(task)) {
        hold_exit(task);
    } else {
        count(CG_COUNT_EXIT_UNHELD);
    }
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct* task) { return on_thread_end(task); }

SEC("tp")
int on_exit_unpreempted(void* context) { return on_thread_end(bpf_get_current_task_btf()); }
