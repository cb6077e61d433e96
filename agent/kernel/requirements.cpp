#include "kernel/requirements.h"

#include <bpf/libbpf.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace callgate {
namespace {

bool lacks(bpf_func_id helper) { return libbpf_probe_bpf_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, helper, nullptr) == 0; }

}  // namespace

std::string kernel_release() {
    utsname names;
    uname(&names);
    return names.release;
}

std::optional<KernelLack> kernel_lacks() {
    const std::string kernel = "this kernel (" + kernel_release() + ")";
    if (access("/sys/kernel/btf/vmlinux", R_OK)) return KernelLack{kernel + " has no BTF", kKernelNeeded};
    if (lacks(BPF_FUNC_loop)) return KernelLack{kernel + " has no bpf_loop", kKernelNeeded};
    if (lacks(BPF_FUNC_probe_read_kernel)) return KernelLack{kernel + " is locked down", kLockdownNeeded};
    return std::nullopt;
}

}  // namespace callgate
