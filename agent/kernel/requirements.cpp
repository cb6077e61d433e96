#include "kernel/requirements.h"

#include <bpf/bpf.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace callgate {
namespace {

// What the verifier says of a call of a helper that there is none of (before 6.9, since then), or that this program may not
// call. libbpf 1.1's own probe knows the older words only.
constexpr std::string_view kRefusals[] = {"invalid func ", "unknown func ", "cannot use helper "};

// Without arguments the program is refused in any case; the verifier looks at the helper first.
bool lacks(bpf_func_id helper) {
    const bpf_insn program[] = {{.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = helper},
                                {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    std::array<char, 4096> said{};
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    options.log_buf = said.data();
    options.log_size = said.size();
    options.log_level = 1;
    const int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "probe", "GPL", program, std::size(program), &options);
    if (fd >= 0) close(fd);
    const std::string_view log(said.data());
    return fd < 0 && std::any_of(std::begin(kRefusals), std::end(kRefusals),
                                 [&](std::string_view words) { return log.find(words) != log.npos; });
}

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
