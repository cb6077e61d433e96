// Which kind of programs wait in the kernel. Where one thread is inside a program, the kernel leaves the same program out for
// whoever else comes by on that processor (recursion_misses of bpf_prog_info): a program that waits must not be preempted.
// Programs of tp_btf are not before Linux 7.0; since then tracepoints are guarded by SRCU, and what runs on a perf event is
// the only kind that runs with preemption disabled (linux commits a46023d5616e, 16718274ee75).
#pragma once
#include <bpf/libbpf.h>

#include <memory>
#include <string>

#include "base/result.h"

namespace callgate {

enum class Waiting {
    directly,             // in programs of tp_btf
    on_events,            // in programs of perf events, because those of tp_btf can be preempted here
    directly_as_it_must,  // likewise, and tracefs does not have the events: reads may be missed
};

// Asks the kernel once. Needs CAP_BPF and CAP_PERFMON.
Waiting how_programs_wait();

struct LinkCloser {
    void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using Link = std::unique_ptr<bpf_link, LinkCloser>;

// Attaches a program of SEC("tp") to a tracepoint by a perf event, for instance "raw_syscalls/sys_exit". Its number is
// read from tracefs, mounted or not. ENOENT: the kernel does not have it.
Result<Link> attach_to_event(const bpf_program* program, const std::string& event);

}  // namespace callgate
