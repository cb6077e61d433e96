// Programs of channel.bpf.o for what not every kernel has: they are left out where it has not.
#pragma once
#include <bpf/btf.h>
#include <bpf/libbpf.h>

namespace callgate {

inline bool has_tracepoint(const char* name) { return libbpf_find_vmlinux_btf_id(name, BPF_TRACE_RAW_TP) > 0; }

// Whether reads through io_uring are heard of.
inline bool hears_of_rings() {
    return has_tracepoint("io_uring_complete") && (has_tracepoint("io_uring_submit_req") || has_tracepoint("io_uring_submit_sqe"));
}

template <typename Skeleton>  // opened, not loaded
void leave_out_what_is_missing(Skeleton& skeleton) {
    bpf_program__set_autoload(skeleton.progs.on_ring_submit, has_tracepoint("io_uring_submit_req"));
    bpf_program__set_autoload(skeleton.progs.on_ring_submit_before, has_tracepoint("io_uring_submit_sqe"));
    bpf_program__set_autoload(skeleton.progs.on_ring_complete, has_tracepoint("io_uring_complete"));
}

}  // namespace callgate
