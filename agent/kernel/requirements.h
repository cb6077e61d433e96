// What a kernel must have for the BPF programs to load at all. It is tried, not told by the kernel's version: distributions bring
// bpf_loop to older ones, and lockdown takes from newer ones what they have.
#pragma once
#include <optional>
#include <string>

namespace callgate {

inline constexpr char kKernelNeeded[] = "callgate needs Linux 5.17 or newer with BTF (CONFIG_DEBUG_INFO_BTF)";
inline constexpr char kLockdownNeeded[] = "confidentiality forbids BPF to read kernel memory: use lockdown=integrity";

struct KernelLack {
    std::string what;  // "this kernel (5.10.0-46-cloud-amd64) has no bpf_loop"
    std::string remedy;
};

// The first thing that is missing. Where it may not be tried, nothing is said.
std::optional<KernelLack> kernel_lacks();

// "5.10.0-46-cloud-amd64"
std::string kernel_release();

}  // namespace callgate
