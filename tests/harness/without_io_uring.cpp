// without_io_uring: `callgate` under a seccomp filter that refuses io_uring, as a container engine's profile does, and knows no
// epoll_pwait2, as kernels before 5.11 do.
// Takes callgate's words.
#include <seccomp.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

int main(int, char** words) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter || seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(io_uring_setup), 0) ||
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(epoll_pwait2), 0) || seccomp_load(filter)) {
        fprintf(stderr, "without_io_uring: no filter\n");
        return 1;
    }
    // It lies in tests/harness/ of the build directory.
    const auto own = std::filesystem::canonical("/proc/self/exe");
    const std::string callgate = own.parent_path().parent_path().parent_path() / "callgate";
    execv(callgate.c_str(), words);
    perror(callgate.c_str());
    return 1;
}
