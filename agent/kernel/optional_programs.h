// Programs of channel.bpf.o for what not every kernel has, or does: they are left out where it has not.
#pragma once
#include <bpf/libbpf.h>

#include "kernel/kernel_types.h"
#include "kernel/waiting.h"

namespace callgate {

// Of the programs that wait there are two each (Waiting), of which one is left out.
template <typename Skeleton>  // opened, not loaded
void leave_out_what_is_missing(Skeleton& skeleton, const KernelTypes& kernel, Waiting waiting) {
    const bool on_events = waiting == Waiting::on_events;
    auto& programs = skeleton.progs;
    bpf_program__set_autoload(programs.on_ring_submit, kernel.has_tracepoint("io_uring_submit_req"));
    bpf_program__set_autoload(programs.on_ring_submit_before, kernel.has_tracepoint("io_uring_submit_sqe"));
    bpf_program__set_autoload(programs.on_ring_complete, kernel.has_tracepoint("io_uring_complete"));
    for (bpf_program* each : {programs.on_exec, programs.on_read, programs.on_exit}) bpf_program__set_autoload(each, !on_events);
    for (bpf_program* each : {programs.on_exec_unpreempted, programs.on_read_unpreempted, programs.on_exit_unpreempted})
        bpf_program__set_autoload(each, on_events);
}

}  // namespace callgate
