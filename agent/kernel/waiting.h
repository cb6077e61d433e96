// Which kind of programs wait in the kernel. Where one thread is inside a program, the kernel leaves the same program out for
// whoever else comes by on that processor (recursion_misses of bpf_prog_info): a program that waits must not be preempted.
// Programs of tp_btf are not before Linux 7.0; since then tracepoints are guarded by SRCU (linux commits a46023d5616e,
// 16718274ee75), and preemption is disabled only for what runs on perf events, those of single system calls excepted.
#pragma once
#include "kernel/kernel_types.h"

namespace callgate {

enum class Waiting {
    directly,             // in programs of tp_btf
    on_events,            // in programs of perf events, because those of tp_btf can be preempted here
    directly_as_it_must,  // likewise, and tracefs does not have the events: reads may be missed
};

// Asks the kernel once. Needs CAP_BPF and CAP_PERFMON.
Waiting how_programs_wait(const KernelTypes& kernel);

}  // namespace callgate
