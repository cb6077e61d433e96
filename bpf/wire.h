/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
 *
 * What the kernel programs and the agent say to each other. The only header that both sides include: fixed-width
 * types, explicit padding, sizes checked on both sides, every record zeroed before it is filled.
 */
#ifndef CALLGATE_WIRE_H
#define CALLGATE_WIRE_H

#ifdef __cplusplus
#define CG_ASSERT static_assert
#else
#define CG_ASSERT _Static_assert
#endif

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define CG_RING_BYTES (1 << 20) /* ring buffer; full: the event is counted and nobody is held */
#define CG_CHANNELS_MAX 65536   /* watched channels; full: counted, the server is reported blind */
#define CG_HOLDS_MAX 4096       /* threads waiting at once */
#define CG_AGENT_THREADS 2      /* that answer holds */
#define CG_UNANSWERED_MAX 2     /* holds in a row; after them reads wait a CG_IMPATIENCE-th of the time */
#define CG_IMPATIENCE 16
#define CG_GOVERNED_MAX 65536   /* processes of governed sessions; full: their exits are not held */
#define CG_SCOPE_PIDS_MAX 65536 /* processes of the scoped trees */
#define CG_SCOPE_CGROUPS_MAX 16
#define CG_SCOPE_USERS_MAX 64
#define CG_UNNAMED_MAX 16384    /* programs that may listen without being asked about; likewise */
#define CG_READERS_MAX 16384    /* readers that the agent has decided on; least recently used ones are asked about again */
#define CG_PASSED_MAX 16384     /* connections that it has given up; likewise */
#define CG_UNHELD_MAX 1024      /* threads in a listen() that is to be held at its end; likewise: it is not held */
#define CG_LISTENERS_MAX 16384  /* listening sockets in scope; full: counted, the listener is reported blind */
#define CG_STEERED_MAX 16384    /* addresses that are steered */
#define CG_EXEMPT_MAX 131072    /* connections of the agent to servers at once, and servers' ends of them */
#define CG_CONNECTING_MAX 16384 /* connections being made to a steered port; full: the peer stays an address */
#define CG_PEERS_MAX 65536      /* connections made and not accepted yet; least recently used ones go */

/* A pipe or stream socket: its inode. pipefs and sockfs number theirs from one counter. */
struct cg_channel_key {
    __u64 inode;
    __u32 device; /* kernel encoding of s_dev */
    __u32 padding;
};

/* CG_KIND_TCP: a connection that a server has accepted past the steering: from before, or its listener was not known. */
enum cg_channel_kind { CG_KIND_NONE = 0, CG_KIND_PIPE = 1, CG_KIND_UNIX = 2, CG_KIND_TCP = 3 };

/* What is not in the map is nobody's business. */
enum cg_channel_state {
    CG_PENDING = 1,  /* made by an exec; the agent has not said anything yet */
    CG_WATCH = 2,    /* every read of it is held until the agent has looked at the bytes */
    CG_PASS = 3,     /* of a reader: the agent has looked at it and leaves it alone */
    CG_ACCEPTED = 4, /* event only: an accepted connection that is in no map, and its reader is watched */
    CG_UNKNOWN = 5,  /* event only: likewise, and nobody has said anything of its reader */
    CG_SWAPPING = 6, /* the replacement of the channel `output`, to which nothing has been written yet: a read that ends
                      * there has begun before, and is one of that channel. In events it does not occur */
};

/* Key of `readers`: a process, as one that reads what a listener has accepted. */
struct cg_reader_key {
    __u64 listener; /* TCP: the port; AF_UNIX: the inode of its file, and CG_READER_UNIX */
    __u32 tgid;     /* 0: whichever process, of which nothing is said by itself */
    __u32 padding;
};
#define CG_READER_UNIX (1ull << 63)

/* Value of `readers`. It holds for one program, run by one user: another one is asked about again. Where `start_ns` is 0
 * the first read says which. */
struct cg_reader {
    __u32 state; /* CG_WATCH or CG_PASS */
    __u32 uid;
    __u64 start_ns;
    __u32 exec_id;
    __u32 padding;
};

/* Value of `channels`, keyed by the channel a server reads. */
struct cg_channel {
    __u32 state; /* enum cg_channel_state */
    __u32 kind;
    __u32 pid; /* whose exec made it, or 0 */
    __u32 padding;
    struct cg_channel_key output; /* the channel that was descriptor 1 at that exec; CG_SWAPPING: what is replaced */
};

/* CG_YIELDED: the thread does not wait in the kernel, it is to be preempted by the agent before it is back in user code.
 * Whether it was is seen from where it stops. */
enum cg_hold_state { CG_HOLDING = 1, CG_RELEASED = 2, CG_EXPIRED = 3, CG_YIELDED = 4 };

/* Value of `holds`, keyed by thread id: a read that has returned bytes but not yet to user code; or a process that ends,
 * of which only state, ids and time are set. */
struct cg_hold {
    __u64 state; /* enum cg_hold_state; 64 bits wide for the atomic exchange */
    __u32 tgid;
    __u32 tid;
    __u32 syscall;
    __s32 fd;
    __u32 flags;       /* of recvfrom, recvmsg and recvmmsg */
    __u32 references;  /* to the open file, descriptors of all processes among them */
    __u64 buffer;      /* user address: the buffer, the iovec array (readv), the msghdr (recvmsg) or several (recvmmsg) */
    __u64 length;      /* of the buffer, or the number of iovecs or of msghdrs */
    __s64 result;      /* bytes read; recvmmsg: messages */
    __u64 since_ns;    /* CLOCK_MONOTONIC */
    __u64 instruction; /* where the thread goes on in user code */
    __u64 stack;
    struct cg_channel_key channel;
};

enum cg_event_kind {
    CG_EVENT_EXEC = 1,        /* a process runs a program with a pipe or socket on 0 and on 1, or with a socket on 0 that
                               * nothing can be put before (CG_KIND_NONE) */
    CG_EVENT_READ = 2,        /* a thread is held after a read */
    CG_EVENT_EXPIRED = 3,     /* nobody answered in time: the read was let go */
    CG_EVENT_EXIT = 4,        /* a governed process ends and is held before anybody is told */
    CG_EVENT_UNIX_LISTEN = 5, /* listen(2) on an AF_UNIX socket was called; `channel` is the file that it is bound to, or zero */
    CG_EVENT_LISTENED = 6,    /* listen(2) on a TCP socket has returned, and was not held before: it has a port now */
    CG_EVENT_UNSEEN = 7,      /* a channel is read in a way that cannot be undone: `hold.syscall` says how */
    CG_EVENT_LISTEN = 8,      /* listen(2) was called; from here on the record is a cg_listen_event */
    CG_EVENT_LISTENER_GONE = 9,
};

struct cg_event {
    __u32 kind; /* enum cg_event_kind */
    __u32 channel_kind;
    __u32 tgid;
    __u32 tid;
    __u32 channel_state; /* before the event */
    __u32 cpu;
    struct cg_channel_key channel;
    struct cg_channel_key output; /* of an exec; of a connection that an AF_UNIX listener has accepted: the listener's file */
    struct cg_hold hold;          /* read and expired only */
    struct cg_reader reader;      /* likewise: what is to be said of the reader, but for the state */
};

/* A TCP address in one network namespace. Key of `steered`. */
struct cg_address {
    __u32 netns;    /* inode number of the namespace */
    __u16 family;   /* AF_INET or AF_INET6; IPv4-mapped addresses are AF_INET */
    __u16 port;     /* host byte order */
    __u8 bytes[16]; /* network byte order; IPv4: the first four */
};

enum cg_listener_flags {
    CG_LISTENER_DUAL = 1,    /* [::] that takes IPv4 too */
    CG_LISTENER_HELD = 2,    /* event: the thread waits in listen() */
    CG_LISTENER_STEERED = 4, /* counted in `steered`, with the IPv4 wildcard where it is dual */
    CG_LISTENER_WAITS = 8,   /* event: the thread will wait at the end of listen() */
};

/* Value of `listeners`, keyed by socket cookie: sockets in scope that listen. */
struct cg_listener {
    struct cg_address address;
    __u32 flags; /* enum cg_listener_flags */
    __u32 tgid;
};

/* Value of `steered`: how many steered listeners have this address. */
struct cg_steered {
    __u32 listeners;
    __u32 padding;
};

struct cg_listen_event {
    __u32 kind; /* enum cg_event_kind */
    __u32 flags;
    __u32 tgid;
    __u32 tid;
    __u64 cookie;
    __u64 since_ns;
    struct cg_address address;
    __u32 bound_device; /* of SO_BINDTODEVICE, or 0 */
    __u32 padding;
    struct cg_reader program; /* whose; its state: the round of the agent's answers (listen.bpf.c) */
};

/* Key of `exempt`: a connection of the agent's own to a server, from the server's own address. */
struct cg_exempt {
    struct cg_address server;
    __u16 client_port;
    __u16 padding[3];
};

/* Key of `peers`: a connection, as its client sees it. The namespace tells clients with the same addresses apart: every
 * container has a 127.0.0.1, and many have the same other addresses. */
struct cg_connection {
    __u32 netns; /* of the client; 0: whichever */
    __u16 family;
    __u16 client_port;
    __u16 server_port;
    __u16 padding;
    __u8 client[16];
    __u8 server[16];
};

/* Who called connect(2). Of netns 0: all zero where several connections have these addresses. */
struct cg_peer {
    __u32 tgid;
    __u32 uid;
    __u64 start_ns; /* with `exec_id`, of the program; 0: the agent has noted the process, whatever it ran */
    __u32 exec_id;
    __u32 padding;
};

/* Per-CPU counters, summed by the agent: seen = sent + ring_full for every kind (invariant I3). */
enum cg_counter {
    CG_COUNT_EXEC_SEEN,
    CG_COUNT_EXEC_SENT,
    CG_COUNT_READ_SEEN,
    CG_COUNT_READ_SENT,
    CG_COUNT_EXPIRED_SEEN,
    CG_COUNT_EXPIRED_SENT,
    CG_COUNT_UNSEEN_SEEN,
    CG_COUNT_UNSEEN_SENT,
    CG_COUNT_EXIT_SEEN,
    CG_COUNT_EXIT_SENT,
    CG_COUNT_EXIT_UNHELD, /* exits of governed processes of which the agent was not told */
    CG_COUNT_RING_FULL,
    CG_COUNT_CHANNELS_FULL,
    CG_COUNT_HOLDS_FULL,
    CG_COUNT_SCOPE_FULL,
    CG_COUNT_LISTEN_SEEN,
    CG_COUNT_LISTEN_SENT,
    CG_COUNT_LISTEN_EXPIRED,
    CG_COUNT_GONE_SEEN,
    CG_COUNT_GONE_SENT,
    CG_COUNT_LISTENERS_FULL,
    CG_COUNT_MAX,
};

CG_ASSERT(sizeof(struct cg_channel_key) == 16, "wire layout");
CG_ASSERT(sizeof(struct cg_channel) == 32, "wire layout");
CG_ASSERT(sizeof(struct cg_reader_key) == 16, "wire layout");
CG_ASSERT(sizeof(struct cg_reader) == 24, "wire layout");
CG_ASSERT(sizeof(struct cg_hold) == 96, "wire layout");
CG_ASSERT(sizeof(struct cg_event) == 176, "wire layout");
CG_ASSERT(sizeof(struct cg_address) == 24, "wire layout");
CG_ASSERT(sizeof(struct cg_listener) == 32, "wire layout");
CG_ASSERT(sizeof(struct cg_listen_event) == 88, "wire layout");
CG_ASSERT(sizeof(struct cg_exempt) == 32, "wire layout");
CG_ASSERT(sizeof(struct cg_connection) == 44, "wire layout");
CG_ASSERT(sizeof(struct cg_peer) == 24, "wire layout");

#endif
