// Programs on tracepoints by way of perf events (perf_event_open(2)): those run with preemption disabled, see waiting.h.
#pragma once
#include <bpf/libbpf.h>

#include <memory>
#include <string>

#include "base/result.h"

namespace callgate {

struct LinkCloser {
    void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using Link = std::unique_ptr<bpf_link, LinkCloser>;

// Whether the kernel has this event, for instance "raw_syscalls/sys_exit".
bool has_event(const std::string& event);

// Attaches a program of SEC("tp"). The event's number is read from tracefs, mounted or not. ENOENT: the kernel does not have it.
Result<Link> attach_to_event(const bpf_program* program, const std::string& event);

}  // namespace callgate
