#include "kernel/waiting.h"

#include <unistd.h>

#include <memory>

#include "kernel/libbpf_error.h"
#include "kernel/perf_events.h"
#include "preemption.skel.h"

namespace callgate {
namespace {

bool programs_are_preempted(const KernelTypes& kernel) {
    const auto migration_disabled = kernel.offset_of("task_struct", "migration_disabled");
    if (!migration_disabled) return false;
    collect_complaints();
    std::unique_ptr<preemption_bpf, decltype(&preemption_bpf__destroy)> skeleton(preemption_bpf__open(), preemption_bpf__destroy);
    if (!skeleton) return false;
    skeleton->rodata->asker = static_cast<uint32_t>(gettid());
    skeleton->rodata->migration_disabled = *migration_disabled;
    // Where it cannot be had, the other programs cannot either, and say why.
    if (preemption_bpf__load(skeleton.get()) || preemption_bpf__attach(skeleton.get())) return false;
    (void)getppid();
    return *static_cast<volatile bool*>(&skeleton->bss->preempted);
}

}  // namespace

Waiting how_programs_wait(const KernelTypes& kernel) {
    static const Waiting how = !programs_are_preempted(kernel)      ? Waiting::directly
                               : has_event("raw_syscalls/sys_exit") ? Waiting::on_events
                                                                    : Waiting::directly_as_it_must;
    return how;
}

}  // namespace callgate
