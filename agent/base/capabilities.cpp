#include "base/capabilities.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace callgate {
namespace {

constexpr struct {
    int number;
    const char* name;
} kNames[] = {
    {CAP_BPF, "CAP_BPF"},
    {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
    {CAP_KILL, "CAP_KILL"},
    {CAP_NET_ADMIN, "CAP_NET_ADMIN"},
    {CAP_PERFMON, "CAP_PERFMON"},
    {CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
    {CAP_SYS_NICE, "CAP_SYS_NICE"},
    {CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
    {CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE"},
};

std::string name_of(int number) {
    for (const auto& each : kNames)
        if (each.number == number) return each.name;
    return std::to_string(number);
}

}  // namespace

Status keep_capabilities(Capabilities at_most) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, words)) return Error::system("capget", "", errno);
    for (int word = 0; word < _LINUX_CAPABILITY_U32S_3; ++word) {
        words[word].permitted &= static_cast<uint32_t>(at_most >> (32 * word));
        words[word].effective = words[word].permitted;
        words[word].inheritable = 0;  // and so none is ambient
    }
    if (syscall(SYS_capset, &header, words)) return Error::system("capset", "", errno);
    return {};
}

// From the bounding set only who has CAP_SETPCAP may take; who started this process has taken what it has not.
Status limit_capabilities(Capabilities at_most) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return Error::system("prctl", "PR_SET_NO_NEW_PRIVS", errno);
    Status bounded;
    for (int number = 0; prctl(PR_CAPBSET_READ, number) >= 0; ++number) {
        if ((at_most & capability(number)) || prctl(PR_CAPBSET_READ, number) == 0) continue;
        if (prctl(PR_CAPBSET_DROP, number)) bounded = Error::system("prctl PR_CAPBSET_DROP", name_of(number), errno);
    }
    TRY_VOID(keep_capabilities(at_most));
    return bounded;
}

std::map<std::string, int> held_capabilities() {
    std::map<std::string, int> held;
    std::error_code none;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", none)) {
        std::ifstream status(thread.path() / "status");
        for (std::string line; std::getline(status, line);) {
            if (!line.starts_with("CapPrm:")) continue;
            const Capabilities set = strtoull(line.c_str() + sizeof("CapPrm:"), nullptr, 16);
            for (int number = 0; number < 64; ++number)
                if (set & capability(number)) ++held[name_of(number)];
        }
    }
    return held;
}

}  // namespace callgate
