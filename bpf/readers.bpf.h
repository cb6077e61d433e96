/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
 *
 * Reads of connections that a server has accepted and that steering did not see: its listener came from another program,
 * the connection itself did, or it is older than the agent. On AF_UNIX that is every accepted connection.
 *
 * Who may read such a connection is asked of the agent once for each process and listener, at a read that may be the
 * beginning of a request. So the first request of a connection is seen whoever its server got it from, and a process that
 * no policy names pays for one question.
 */
#ifndef CALLGATE_READERS_BPF_H
#define CALLGATE_READERS_BPF_H

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10

/* What the agent has said of readers. Writer: agent. Least recently used ones go: they are asked about again. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, CG_READERS_MAX);
    __type(key, struct cg_reader_key);
    __type(value, struct cg_reader);
} readers SEC(".maps");

/* Connections that the agent leaves alone though their reader is watched. Writer: agent. Likewise. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, CG_PASSED_MAX);
    __type(key, struct cg_channel_key);
    __type(value, __u8);
} passed SEC(".maps");

/* Until it is set a read of a connection without a mark costs nothing here. Writer: agent. */
bool accepted_watched = false;

static __always_inline struct sock* sock_of(struct file* file) {
    if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & 0170000) != 0140000) return NULL;
    struct socket* socket = BPF_CORE_READ(file, private_data);
    return BPF_CORE_READ(socket, sk);
}

static __always_inline struct sock* stream_sock_of(struct file* file) {
    struct sock* sk = sock_of(file);
    return sk && BPF_CORE_READ(sk, sk_type) == SOCK_STREAM ? sk : NULL;
}

/* The file that a socket of AF_UNIX is bound to, by inode alone: user space sees other devices than the kernel on some file
 * systems. An accepted one has its listener's. 0: none. */
static __always_inline __u64 bound_file_of(struct sock* sk) {
    struct dentry* bound = BPF_CORE_READ((struct unix_sock*)sk, path.dentry);
    return bound ? BPF_CORE_READ(bound, d_inode, i_ino) : 0;
}

struct file___counted {
    atomic_long_t f_count;
} __attribute__((preserve_access_index));

/* To an open file: each descriptor of each process is one, and each system call under way on a descriptor that threads
 * share. */
static __always_inline __u32 references_of(struct file* file) {
    struct file___counted* counted = (void*)file;
    if (bpf_core_field_exists(counted->f_count)) return (__u32)BPF_CORE_READ(counted, f_count.counter);
    return (__u32)BPF_CORE_READ(file, f_ref.refcnt.counter) + 1; /* file_ref_t counts from zero */
}

/* CG_WATCH, CG_PASS, or 0 where nothing was said of this program and user. */
static __always_inline __u32 said_of(struct cg_reader_key* key, struct cg_reader* now) {
    struct cg_reader* said = bpf_map_lookup_elem(&readers, key);
    if (!said) return 0;
    if (!key->tgid) return said->state;
    if (!said->start_ns) {
        said->uid = now->uid;
        said->exec_id = now->exec_id;
        said->start_ns = now->start_ns;
    }
    return is_same_program(said, now) ? said->state : 0;
}

/* This end called connect(2): the SYN that it sent was acknowledged, and is counted there as one byte more than it sent.
 * Where the two differ otherwise, or it has shut its side down, nothing is said. */
static __always_inline bool called_connect(struct sock* sk) {
    if (BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP) return false;
    __u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
    if (state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT) return false;
    struct tcp_sock* tcp = (struct tcp_sock*)sk;
    __u32 in_flight = BPF_CORE_READ(tcp, snd_nxt) - BPF_CORE_READ(tcp, snd_una);
    __u64 sent = BPF_CORE_READ(tcp, bytes_sent) - BPF_CORE_READ(tcp, bytes_retrans);
    return BPF_CORE_READ(tcp, bytes_acked) + in_flight == sent + 1;
}

static __always_inline bool is_judged(struct sock* sk) {
    __u64 cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
    return cookie && bpf_map_lookup_elem(&judged_connections, &cookie);
}

#define CG_PEEK 16 /* enough for every method that is in use, and the blank after it */

/* The first bytes of what was read. -1: they cannot be told from here. */
static __always_inline long first_bytes(const struct cg_hold* hold, __u8* into) {
    __u64 from = hold->buffer;
    __u64 length = hold->result;
    bool in_header = hold->syscall == SYS_recvmsg || hold->syscall == SYS_recvmmsg;
    if (in_header) {
        struct mmsghdr header;
        __u32 bytes = hold->syscall == SYS_recvmsg ? sizeof(header.msg_hdr) : sizeof(header);
        if (bpf_probe_read_user(&header, bytes, (void*)from)) return -1;
        from = (__u64)header.msg_hdr.msg_iov;
        if (hold->syscall == SYS_recvmmsg) length = header.msg_len;
    }
    if (in_header || hold->syscall == SYS_readv || hold->syscall == SYS_preadv2) {
        struct iovec vector;
        if (bpf_probe_read_user(&vector, sizeof(vector), (void*)from) || !vector.iov_len) return -1;
        from = (__u64)vector.iov_base;
        if (length > vector.iov_len) length = vector.iov_len;
    }
    if (length > CG_PEEK) length = CG_PEEK;
    if (!length || bpf_probe_read_user(into, length, (void*)from)) return -1;
    return (long)length;
}

/* A word and a blank, as a request line begins with (a status line does not, HTTP is followed by a stroke), or a JSON object
 * or array; blanks may come first. What is too short to tell may be one. Global, so that the verifier walks through its bytes
 * once. */
__noinline int may_begin_request(const struct cg_hold* hold) {
    if (!hold) return 1;
    __u8 bytes[CG_PEEK] = {};
    long length = first_bytes(hold, bytes);
    if (length < 0) return 1;
    bool in_word = false;
    for (int i = 0; i < CG_PEEK; i++) {
        if (i >= length) return 1;
        __u8 byte = bytes[i];
        bool blank = byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
        if (in_word && blank) return 1;
        if (blank) continue;
        if (!in_word && (byte == '{' || byte == '[')) return 1;
        bool letter = ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || byte == '-' || byte == '_';
        if (!letter) return 0;
        in_word = true;
    }
    return 1;
}

/* What is to be asked about a read of a socket that has no mark: CG_ACCEPTED, CG_UNKNOWN, or 0 for nothing. */
static __noinline int accepted_state(struct task_struct* task, struct file* file, struct cg_event* event) {
    if (!accepted_watched || !event || event->channel_kind == CG_KIND_PIPE) return 0;
    struct sock* sk = stream_sock_of(file);
    if (!sk) return 0;
    struct cg_reader_key key = {};
    bool tcp = event->channel_kind == CG_KIND_TCP;
    if (tcp) {
        key.listener = BPF_CORE_READ(sk, __sk_common.skc_num);
    } else {
        key.listener = bound_file_of(sk);
        if (!key.listener) return 0;
        event->output.inode = key.listener;
        event->output.device = 0;
        key.listener |= CG_READER_UNIX;
    }
    key.tgid = event->tgid;
    event->reader = reader_of(task);
    __u32 said = said_of(&key, &event->reader);
    if (said == CG_PASS) return 0;
    if (!said && !tcp) {
        key.tgid = 0; /* the listener itself is governed */
        said = said_of(&key, &event->reader);
    }
    if (!said && !may_begin_request(&event->hold)) return 0;
    if (tcp && (is_judged(sk) || called_connect(sk))) return 0;
    if (bpf_map_lookup_elem(&passed, &event->channel)) return 0;
    return said ? CG_ACCEPTED : CG_UNKNOWN;
}

#endif
