#include "kernel/confinement.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <malloc.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <initializer_list>
#include <memory>

#include "kernel/proc.h"

namespace callgate {
namespace {

// A call that is not listed is answered as by a kernel that does not have it: libraries try what is new and
// go back to what is old (clone3 to clone), which they do on ENOSYS only. Killing, as systemd and OpenSSH do,
// would turn a newer C library's first new call into the end of an agent that is in everybody's path.
constexpr uint32_t kUnknown = SCMP_ACT_ERRNO(ENOSYS);
// No version of any library of ours makes these in a confined thread: who does has come in from outside, and
// should not go on. The agent that follows goes on with the sessions.
constexpr uint32_t kIntruder = SCMP_ACT_KILL_PROCESS;

constexpr int kAllowed[] = {
    // memory and threads
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(msync),
    SCMP_SYS(futex),
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(membarrier),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(getrandom),
    // time
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    // who and where
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrusage),
    SCMP_SYS(getrlimit),
    SCMP_SYS(setrlimit),
    SCMP_SYS(prlimit64),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(capget),  // a thread gives up what it has
    SCMP_SYS(capset),
    SCMP_SYS(wait4),
    SCMP_SYS(waitid),
    // descriptors, pipes, what becomes ready; the ring is there by then, and does what it was made for only
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(fcntl),
    SCMP_SYS(pipe2),
    SCMP_SYS(splice),
    SCMP_SYS(tee),
    SCMP_SYS(memfd_create),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(signalfd4),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(inotify_init1),
    SCMP_SYS(inotify_add_watch),
    SCMP_SYS(inotify_rm_watch),
    // sockets
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(shutdown),
    // files
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(openat2),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(lseek),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64),
    SCMP_SYS(getcwd),
    SCMP_SYS(flock),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fadvise64),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(link),
    SCMP_SYS(linkat),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    SCMP_SYS(umask),
    SCMP_SYS(chmod),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    SCMP_SYS(fchown),
};

constexpr int kForIntruders[] = {
    SCMP_SYS(execve),       SCMP_SYS(execveat),      SCMP_SYS(process_vm_writev), SCMP_SYS(init_module),
    SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),        SCMP_SYS(kexec_file_load),
    SCMP_SYS(mount),        SCMP_SYS(umount2),       SCMP_SYS(move_mount),        SCMP_SYS(fsopen),
    SCMP_SYS(open_tree),    SCMP_SYS(mount_setattr), SCMP_SYS(pivot_root),        SCMP_SYS(chroot),
    SCMP_SYS(setns),        SCMP_SYS(unshare),       SCMP_SYS(userfaultfd),       SCMP_SYS(perf_event_open),
    SCMP_SYS(iopl),         SCMP_SYS(ioperm),
};

class Filter {
  public:
    Filter() : context_(seccomp_init(kUnknown)), error_(context_ ? 0 : -ENOMEM) {}
    void add(uint32_t action, int call, std::initializer_list<scmp_arg_cmp> arguments = {}) {
        if (error_) return;
        error_ = seccomp_rule_add_array(context_.get(), action, call, arguments.size(), arguments.begin());
    }
    void allow(int call, std::initializer_list<scmp_arg_cmp> arguments = {}) { add(SCMP_ACT_ALLOW, call, arguments); }
    int load() { return error_ ? error_ : error_ = seccomp_load(context_.get()); }

  private:
    struct Release {
        void operator()(void* context) const { seccomp_release(context); }
    };
    std::unique_ptr<void, Release> context_;
    int error_;
};

scmp_arg_cmp is(unsigned argument, uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }
// Of the bits in `mask` it has these.
scmp_arg_cmp has(unsigned argument, uint64_t mask, uint64_t bits) { return {argument, SCMP_CMP_MASKED_EQ, mask, bits}; }

// Nothing is written and then run. Libraries may still be loaded: libcurl is when it is first used, and so are
// the C library's name services.
void add_memory(Filter& filter) {
    filter.allow(SCMP_SYS(mmap), {has(2, PROT_EXEC, 0)});
    filter.allow(SCMP_SYS(mmap), {has(2, PROT_WRITE | PROT_EXEC, PROT_EXEC)});
    filter.allow(SCMP_SYS(mprotect), {has(2, PROT_EXEC, 0)});
}

// Threads, no processes.
void add_threads(Filter& filter) {
    filter.allow(SCMP_SYS(clone), {has(0, CLONE_THREAD, CLONE_THREAD)});
    filter.allow(SCMP_SYS(prctl), {is(0, PR_SET_NAME)});
    filter.allow(SCMP_SYS(prctl), {is(0, PR_GET_SECCOMP)});
    const auto self = static_cast<uint64_t>(getpid());
    filter.allow(SCMP_SYS(tgkill), {is(0, self)});  // abort()
    filter.allow(SCMP_SYS(kill), {is(1, 0)});       // does it exist?
}

void add_sockets(Filter& filter) {
    for (unsigned family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}) filter.allow(SCMP_SYS(socket), {is(0, family)});
    filter.allow(SCMP_SYS(socketpair), {is(0, AF_UNIX)});
    for (unsigned request : {FIONREAD, TIOCOUTQ, FIONBIO, TCGETS}) filter.allow(SCMP_SYS(ioctl), {is(1, request)});
}

// The loop asks and tells the programs' maps; a watcher has loaded them.
void add_maps(Filter& filter) {
    for (bpf_cmd command :
         {BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM, BPF_MAP_GET_NEXT_KEY, BPF_MAP_LOOKUP_AND_DELETE_ELEM})
        filter.allow(SCMP_SYS(bpf), {is(0, command)});
    filter.add(kIntruder, SCMP_SYS(bpf), {is(0, BPF_PROG_LOAD)});
}

#ifdef __SANITIZE_ADDRESS__
// At the end LeakSanitizer looks at all threads, by tracing them from a process of its own.
void add_tracing(Filter& filter) {
    for (int call : {SCMP_SYS(ptrace), SCMP_SYS(clone), SCMP_SYS(prctl), SCMP_SYS(getdents)}) filter.allow(call);
}
#else
void add_tracing(Filter& filter) { filter.add(kIntruder, SCMP_SYS(ptrace)); }
#endif

}  // namespace

Status confine_this_thread() {
    // What libseccomp makes a filter from takes megabytes, and is not needed again.
    struct GiveBack {
        ~GiveBack() { malloc_trim(0); }
    } give_back;
    Filter filter;
    for (int call : kAllowed) filter.allow(call);
    for (int call : kForIntruders) filter.add(kIntruder, call);
    add_memory(filter);
    add_threads(filter);
    add_sockets(filter);
    add_maps(filter);
    add_tracing(filter);
    if (const int error = filter.load()) return Error::system("seccomp", "", -error);
    return {};
}

ConfinedThreads confined_threads() {
    ConfinedThreads counts;
    std::error_code none;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", none)) {
        auto status = read_small_file(thread.path() / "status");
        if (!status) continue;  // it has ended
        ++(status->find("\nSeccomp:\t2") != std::string::npos ? counts.confined : counts.free);
    }
    return counts;
}

}  // namespace callgate
