#include "kernel/doctor.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <thread>

#include "base/fd.h"
#include "channel.skel.h"
#include "kernel/confinement.h"
#include "kernel/optional_programs.h"
#include "kernel/proc.h"
#include "kernel/requirements.h"
#include "kernel/scope.h"
#include "kernel/waiting.h"
#include "listen.skel.h"
#include "steer.skel.h"

namespace callgate {
namespace {

int say_nothing(libbpf_print_level, const char*, va_list) { return 0; }

Check passed(std::string name, std::string detail) { return {std::move(name), CheckState::ok, std::move(detail), {}}; }

Check check_kernel() {
    utsname names;
    uname(&names);
    return passed("kernel", kernel_release() + " " + names.machine);
}

Check check_privilege() {
    if (geteuid() == 0) return passed("privilege", "root");
    return {"privilege", CheckState::failed, "uid " + std::to_string(geteuid()),
            "run as root: loading BPF programs and stopping other users' processes needs it"};
}

Check check_btf() {
    if (access("/sys/kernel/btf/vmlinux", R_OK) == 0) return passed("btf", "/sys/kernel/btf/vmlinux");
    return {"btf", CheckState::failed, "no /sys/kernel/btf/vmlinux", "boot a kernel built with CONFIG_DEBUG_INFO_BTF"};
}

Check check_lockdown() {
    auto text = read_small_file("/sys/kernel/security/lockdown", 256);
    bool is_told = access("/sys/kernel/security/lsm", F_OK) == 0;
    if (!text) return passed("lockdown", is_told ? "not in use" : "unknown: securityfs is not mounted");
    size_t open = text->find('['), close = text->find(']');
    std::string level = open == std::string::npos ? *text : text->substr(open + 1, close - open - 1);
    if (level != "confidentiality") return passed("lockdown", level);
    return {"lockdown", CheckState::failed, level, kLockdownNeeded};
}

// What else may refuse a tracer, or the programs.
Check check_modules() {
    auto list = read_small_file("/sys/kernel/security/lsm", 1024);
    return passed("security modules", list ? *list : "unknown: securityfs is not mounted");
}

std::string needed_of(int error, const char* capabilities) {
    if (error == -EPERM) return std::string("run as root, with ") + capabilities;
    return kKernelNeeded;
}

// The programs themselves, loaded but not attached.
Check check_programs() {
    if (const auto lack = kernel_lacks()) return {"bpf", CheckState::failed, lack->what, lack->remedy};
    libbpf_print_fn_t before = libbpf_set_print(say_nothing);
    channel_bpf* skeleton = channel_bpf__open();
    const KernelTypes kernel;
    const Waiting waiting = how_programs_wait(kernel);
    if (skeleton) leave_out_what_is_missing(*skeleton, kernel, waiting);
    int error = skeleton ? channel_bpf__load(skeleton) : -errno;
    channel_bpf__destroy(skeleton);
    libbpf_set_print(before);
    if (!error && waiting == Waiting::directly_as_it_must)
        return {"bpf", CheckState::degraded, "the programs load; this kernel can preempt them, and then misses reads of others",
                "needs tracefs (CONFIG_FTRACE) and CONFIG_PERF_EVENTS"};
    if (!error && waiting == Waiting::on_events)
        return passed("bpf", "tp_btf programs, programs on perf events (tp_btf ones are preempted), ring buffer, bpf_loop load");
    if (!error) return passed("bpf", "tp_btf programs, ring buffer, bpf_loop load");
    return {"bpf", CheckState::failed, "the programs do not load: " + std::string(strerror(-error)),
            needed_of(error, "CAP_BPF and CAP_PERFMON")};
}

Check check_listener_programs() {
    if (const auto lack = kernel_lacks()) return {"listeners", CheckState::failed, lack->what, lack->remedy};
    libbpf_print_fn_t before = libbpf_set_print(say_nothing);
    listen_bpf* listen = listen_bpf__open();
    int error = listen ? listen_bpf__load(listen) : -errno;
    listen_bpf__destroy(listen);
    steer_bpf* steer = steer_bpf__open();
    if (!error) error = steer ? steer_bpf__load(steer) : -errno;
    steer_bpf__destroy(steer);
    libbpf_set_print(before);
    if (!error) return passed("listeners", "tp_btf/inet_sock_set_state and sk_lookup programs load");
    return {"listeners", CheckState::failed, "the programs for HTTP servers do not load: " + std::string(strerror(-error)),
            needed_of(error, "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN")};
}

// fexit would tax only the calls that are watched; trampolines are refused by some hardened kernels.
bool trampolines_load() {
    libbpf_print_fn_t before = libbpf_set_print(say_nothing);
    bpf_insn program[] = {{.code = 0xb7, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
                          {.code = 0x95, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    options.expected_attach_type = BPF_TRACE_FEXIT;
    options.attach_btf_id = std::max(0, libbpf_find_vmlinux_btf_id("ksys_read", BPF_TRACE_FEXIT));
    int fd = options.attach_btf_id ? bpf_prog_load(BPF_PROG_TYPE_TRACING, "probe", "GPL", program, 2, &options) : -1;
    libbpf_set_print(before);
    if (fd < 0) return false;
    close(fd);
    return true;
}

// A child of the same user could be traced without any capability; one that is not dumpable is like another user's.
pid_t start_undumpable_child() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return -1;
    Fd read_end = Fd::adopt(ends[0]), write_end = Fd::adopt(ends[1]);
    pid_t child = fork();
    char byte = 0;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_DUMPABLE, 0);
        (void)!write(write_end.get(), &byte, 1);
        for (;;) pause();
    }
    write_end.reset();
    (void)!read(read_end.get(), &byte, 1);
    return child;
}

Check check_ptrace() {
    pid_t child = start_undumpable_child();
    bool seized = child > 0 && ptrace(PTRACE_SEIZE, child, nullptr, 0L) == 0;
    int code = errno;
    bool stopped = seized && ptrace(PTRACE_INTERRUPT, child, nullptr, nullptr) == 0;
    int status = 0;
    if (stopped) waitpid(child, &status, __WALL);
    bool seccomp = stopped && ptrace(PTRACE_SETOPTIONS, child, nullptr, static_cast<long>(PTRACE_O_SUSPEND_SECCOMP)) == 0;
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, &status, __WALL);
    }
    // 0 to 2 leave it to who has CAP_SYS_PTRACE; 3 cannot be lowered.
    auto scope = read_small_file("/proc/sys/kernel/yama/ptrace_scope", 16);
    const std::string level = scope ? scope->substr(0, 1) : "";
    const std::string yama = scope ? "; kernel.yama.ptrace_scope is " + level : "";
    if (!stopped && level == "3")
        return {"ptrace", CheckState::failed, strerror(code) + yama, "set kernel.yama.ptrace_scope to 2 at most, and boot anew"};
    if (!stopped) return {"ptrace", CheckState::failed, strerror(code) + yama, "needs CAP_SYS_PTRACE"};
    if (!seccomp)
        return {"ptrace", CheckState::degraded, "PTRACE_SEIZE works; PTRACE_O_SUSPEND_SECCOMP is refused" + yama,
                "servers under a seccomp filter are blind: needs CAP_SYS_ADMIN and CONFIG_CHECKPOINT_RESTORE"};
    return passed("ptrace", "PTRACE_SEIZE, PTRACE_O_SUSPEND_SECCOMP" + yama);
}

Check check_pidfd() {
    auto self = open_pidfd(getpid());
    auto copy = self ? fetch_descriptor(*self, 0) : Result<Fd>(self.error());
    if (copy || (self && copy.error().code == EBADF)) return passed("pidfd", "pidfd_open, pidfd_getfd");
    return {"pidfd", CheckState::failed, copy.error().text(), "needs Linux 5.6 or newer"};
}

// In a thread, which ends with it.
Check check_seccomp() {
    Status confined;
    bool holds = false;
    std::thread([&] {
        confined = confine_this_thread();
        holds = confined && syscall(SYS_acct, nullptr) < 0 && errno == ENOSYS;
    }).join();
    if (holds) return passed("seccomp", "threads that do not trace or load programs are confined");
    const std::string problem = confined ? "a filter is taken and does not hold" : confined.error().text();
    return {"seccomp", CheckState::degraded, problem, "needs CONFIG_SECCOMP_FILTER: without it nothing confines the agent"};
}

Check check_cgroups() {
    const std::string mount = cgroup2_mount();
    const bool version1 = has_cgroup1_controllers();
    if (const Status entered = enter_cgroups_of_host(); !entered)
        return {"cgroups", CheckState::degraded, "a namespace of this container's own: " + entered.error().text(),
                "grant CAP_SYS_PTRACE and CAP_SYS_ADMIN, or give the container the host's cgroup namespace: without it no server"
                " is known by its unit or image, and no caller by cgroup, unit or container"};
    if (!mount.empty()) return passed("cgroups", "v2 at " + mount + (version1 ? ", hybrid: controllers are in v1" : ""));
    return {"cgroups", CheckState::degraded, version1 ? "v1 only" : "not mounted",
            "mount -t cgroup2 none DIRECTORY: without v2 neither a scope by cgroup nor grants by cgroup or unit are possible"};
}

// A hold keeps a processor busy until the agent answers; with a single one the answer cannot come.
Check check_processors() {
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (online > 1) return passed("processors", std::to_string(online));
    return {"processors", CheckState::degraded, "one processor: a held read cannot be answered in time",
            "give the host a second processor, or name servers by package, which needs no hold"};
}

}  // namespace

DoctorReport examine_host(Check relay) {
    DoctorReport report;
    report.checks = {check_kernel(),
                     check_privilege(),
                     check_btf(),
                     check_lockdown(),
                     check_modules(),
                     check_programs(),
                     check_listener_programs(),
                     check_ptrace(),
                     check_pidfd(),
                     check_seccomp(),
                     relay,
                     check_cgroups(),
                     check_processors()};
    // Where the programs do not load, the agent does not start.
    const bool runs = std::none_of(report.checks.begin(), report.checks.end(), [](const Check& each) {
        return each.state == CheckState::failed && (each.name == "bpf" || each.name == "listeners");
    });
    bool fexit = trampolines_load();
    const KernelTypes kernel;
    const bool has_rings = kernel.has_rings();
    const bool on_events = runs && how_programs_wait(kernel) == Waiting::on_events;
    const std::string events = on_events ? "perf event " : "tp_btf/";
    if (runs)
        report.mechanism = {
            "candidates: " + events + "sched_process_exec",
            "reads: " + events + "sys_exit (exit only; fexit " + (fexit ? "would load" : "is refused") + " here)",
            "hold: bpf_loop in the tracepoint, at most 100 ms",
            "stop: PTRACE_SEIZE, PTRACE_INTERRUPT",
            "relay: " + relay.detail,
            std::string("listeners: tp_btf/inet_sock_set_state ") + (on_events ? "tells of" : "holds") +
                " listen(2), sk_lookup steers to the agent",
            std::string("reads with splice, tee and io_uring: told, not held") + (has_rings ? "" : "; of io_uring not told here"),
            "AF_UNIX listeners: " + events + "sys_exit holds listen(2) and the first read of each connection"};
    report.blind = {
        "servers that another debugger traces", "servers whose input is read by 32-bit (compat) system calls",
        "connections with TLS that ends in the server, and HTTP/2",
        "servers that listen on abstract AF_UNIX addresses or on SOCK_SEQPACKET",
        "what is read with splice, tee or io_uring before the take-over, and connections that are accepted past steering"};
    if (!has_rings) report.blind.push_back("reads through io_uring, unreported, where the server was not taken over before");
    for (const Check& check : report.checks) {
        if (check.name == "ptrace" && check.state == CheckState::degraded)
            report.blind.push_back("servers under a seccomp filter");
        if (check.state == CheckState::failed) report.blind.push_back("everything, until \"" + check.name + "\" is mended");
    }
    return report;
}

}  // namespace callgate
