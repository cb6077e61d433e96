// Programs of channel.bpf.o for what not every kernel has, or does: they are left out where it has not.
#pragma once
#include <bpf/btf.h>

#include <string>

#include "kernel/waiting.h"

namespace callgate {

// The kernel's types (/sys/kernel/btf/vmlinux): some ten megabytes while it lives.
class KernelTypes {
  public:
    KernelTypes() : types_(btf__load_vmlinux_btf()) {}
    ~KernelTypes() { btf__free(types_); }
    KernelTypes(const KernelTypes&) = delete;
    KernelTypes& operator=(const KernelTypes&) = delete;

    bool has_tracepoint(const std::string& name) const {
        return types_ && btf__find_by_name_kind(types_, ("btf_trace_" + name).c_str(), BTF_KIND_TYPEDEF) > 0;
    }
    // Whether reads through io_uring are heard of.
    bool has_rings() const {
        return has_tracepoint("io_uring_complete") &&
               (has_tracepoint("io_uring_submit_req") || has_tracepoint("io_uring_submit_sqe"));
    }

  private:
    btf* types_;
};

// Of the programs that wait there are two each (Waiting), of which one is left out.
template <typename Skeleton>  // opened, not loaded
void leave_out_what_is_missing(Skeleton& skeleton, Waiting waiting) {
    const KernelTypes kernel;
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
