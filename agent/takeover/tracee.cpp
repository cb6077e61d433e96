#include "takeover/tracee.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/fault_point.h"
#include "kernel/proc.h"

namespace callgate {
namespace {

// How often a stop is looked for before pausing: more only keeps a processor from it. The first call of a program that
// has just started takes most of them.
constexpr int kAwakeRounds = 60;
// Afterwards, between two looks: the thread may need this very processor. Not at once in vain: it may be about to stop.
constexpr std::chrono::microseconds kPause{20};
constexpr int kPausesInHope = 3;
// How long the end of a Tracee waits for its thread before it leaves it behind.
constexpr std::chrono::milliseconds kDetachPatience{20};
constexpr size_t kSignalSetBytes = 8;  // of the kernel's sigset_t
constexpr int kSystemCallStop = 0x80;  // PTRACE_O_TRACESYSGOOD

// The threads that we trace, in whichever thread of ours.
class OurTracees {
  public:
    void add(pid_t tid) {
        std::lock_guard lock(mutex_);
        tids_.insert(tid);
    }
    void remove(pid_t tid) {
        std::lock_guard lock(mutex_);
        tids_.erase(tid);
    }
    bool has(pid_t tid) {
        std::lock_guard lock(mutex_);
        return tids_.count(tid) != 0;
    }

  private:
    std::mutex mutex_;
    std::unordered_set<pid_t> tids_;
};

OurTracees& our_tracees() {
    static OurTracees tracees;
    return tracees;
}

std::string thread_name(pid_t tid) { return "thread " + std::to_string(tid); }

// The vDSO's base address in a process, from its auxiliary vector.
uint64_t vdso_base(pid_t pid) {
    auto bytes = read_small_file(proc_path(pid, "auxv"), 4096);
    if (!bytes) return 0;
    for (size_t at = 0; at + sizeof(Elf64_auxv_t) <= bytes->size(); at += sizeof(Elf64_auxv_t)) {
        Elf64_auxv_t entry;
        memcpy(&entry, bytes->data() + at, sizeof(entry));
        if (entry.a_type == AT_SYSINFO_EHDR) return entry.a_un.a_val;
    }
    return 0;
}

// Where kCallCode is put: at the end of the vDSO's last page, behind everything that is executed or read at
// run time (zeros, or the section headers). The image is the same in every process of one kernel, so it is
// looked at in our own.
constexpr uint64_t kCallCodePlace = (sizeof(kCallCode) + 7) / 8 * 8;
using CallCode = std::array<uint8_t, kCallCodePlace>;

uint64_t vdso_size() {
    static const uint64_t size = [] {
        const uint64_t base = vdso_base(getpid());
        if (!base) return uint64_t{0};
        const auto* image = reinterpret_cast<const uint8_t*>(base);
        Elf64_Ehdr header;
        memcpy(&header, image, sizeof(header));
        uint64_t end = 0;
        for (int i = 0; i < header.e_phnum; ++i) {
            Elf64_Phdr segment;
            memcpy(&segment, image + header.e_phoff + i * sizeof(segment), sizeof(segment));
            if (segment.p_type == PT_LOAD) end = std::max(end, segment.p_offset + segment.p_memsz);
        }
        const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
        return (end + page - 1) / page * page;
    }();
    return size;
}

const CallCode& unused_place() {
    static const CallCode found = [] {
        CallCode bytes{};
        memcpy(bytes.data(), reinterpret_cast<const uint8_t*>(vdso_base(getpid()) + vdso_size() - kCallCodePlace), bytes.size());
        return bytes;
    }();
    return found;
}

}  // namespace

Result<std::unique_ptr<Tracee>> Tracee::interrupt(pid_t tid, const WhileWaiting& while_waiting) {
    std::unique_ptr<Tracee> tracee(new Tracee(tid, while_waiting));
    if (ptrace(PTRACE_SEIZE, tid, nullptr, 0L)) return Error::system("PTRACE_SEIZE", thread_name(tid), errno);
    tracee->seized_ = true;
    our_tracees().add(tid);
    if (ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr)) return Error::system("PTRACE_INTERRUPT", thread_name(tid), errno);
    return tracee;
}

Status Tracee::await_stop(std::chrono::milliseconds timeout) {
    if (stopped_) return {};
    auto deadline = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        int status = TRY(wait_for_stop(deadline));
        if (status >> 16 == PTRACE_EVENT_STOP) break;
        // A signal came first: it is the thread's own, hand it over; the interrupt is still due.
        stopped_ = false;
        if (ptrace(PTRACE_CONT, tid_, nullptr, static_cast<long>(WSTOPSIG(status))))
            return Error::system("PTRACE_CONT", thread_name(tid_), errno);
    }
    iovec view{&saved_.raw, sizeof(saved_.raw)};
    if (ptrace(PTRACE_GETREGSET, tid_, NT_PRSTATUS, &view)) return Error::system("PTRACE_GETREGSET", thread_name(tid_), errno);
    at_stop_ = saved_;
    return {};
}

Result<std::unique_ptr<Tracee>> Tracee::stop(pid_t tid, const WhileWaiting& while_waiting) {
    auto tracee = TRY(interrupt(tid, while_waiting));
    TRY_VOID(tracee->await_stop());
    return tracee;
}

bool Tracee::is_ours(pid_t tid) { return our_tracees().has(tid); }

Tracee::~Tracee() {
    if (!seized_) return;
    if (detach(kDetachPatience)) {
        our_tracees().remove(tid_);
        return;
    }
    while_waiting_ = nullptr;
    left_behind().emplace_back(new Tracee(std::move(*this)));
}

// Each thread of ours has its own: ptrace calls come from the tracer. The kernel lets go of the rest when it ends.
Tracee::LeftBehind& Tracee::left_behind() {
    static thread_local LeftBehind own;
    return own;
}

bool Tracee::let_go_of_those_left_behind() {
    std::erase_if(left_behind(), [](std::unique_ptr<Tracee>& each) {
        if (!each->detach(std::chrono::milliseconds(0))) return false;
        each->seized_ = false;
        our_tracees().remove(each->tid_);
        return true;
    });
    return !left_behind().empty();
}

// False where the thread is neither let go nor gone by then.
bool Tracee::detach(std::chrono::milliseconds patience) {
    if (gone_) return true;
    auto deadline = std::chrono::steady_clock::now() + patience;
    if (!stopped_) {
        // It cannot be detached while it runs; the interrupt that was asked for stops it sooner or later.
        bool never_stopped = at_stop_.raw.rip == 0;
        if (never_stopped ? !await_stop(patience).ok() : !wait_for_stop(deadline).ok()) return gone_;
    }
    // Nothing came of the stop: it must not show as an EINTR either.
    if (saved_.needs_settling()) saved_.settle_interrupted_call();
    // In this order: a thread that we are killed behind any of these goes on all the same.
    if (mask_changed_) ptrace(PTRACE_SETSIGMASK, tid_, kSignalSetBytes, &signal_mask_);
    fault_point("mask set");
    if (touched_ || memcmp(&saved_.raw, &at_stop_.raw, sizeof(saved_.raw))) {
        iovec view{&saved_.raw, sizeof(saved_.raw)};
        ptrace(PTRACE_SETREGSET, tid_, NT_PRSTATUS, &view);
    }
    fault_point("registers set");
    if (!borrowed_.empty()) (void)write(scratch_, borrowed_.data(), borrowed_.size());
    if (!ptrace(PTRACE_DETACH, tid_, nullptr, nullptr)) return true;
    // It was killed in its stop: its parent hears of that when we have.
    stopped_ = false;
    (void)wait_for_stop(deadline);
    return gone_;
}

Status Tracee::prepare_calls(bool suspend_seccomp) {
    const long options = PTRACE_O_TRACESYSGOOD | (suspend_seccomp ? PTRACE_O_SUSPEND_SECCOMP : 0);
    if (ptrace(PTRACE_SETOPTIONS, tid_, nullptr, options))
        return Error::system("PTRACE_SETOPTIONS", thread_name(tid_) + (suspend_seccomp ? " has a seccomp filter" : ""), errno);
    TRY_VOID(put_code());
    // From here on the thread does not pass through the kernel's restart code any more: settle what it was
    // in.
    saved_.settle_interrupted_call();
    frame_ = saved_.stack() - Registers::kRedZoneBytes - sizeof(CallFrame);
    scratch_ = (frame_ - kScratchBytes) & ~uint64_t{15};
    borrowed_.resize(frame_ + sizeof(CallFrame) - scratch_);
    TRY_VOID(read(scratch_, borrowed_.data(), borrowed_.size()));
    if (ptrace(PTRACE_GETSIGMASK, tid_, kSignalSetBytes, &signal_mask_))
        return Error::system("PTRACE_GETSIGMASK", thread_name(tid_), errno);
    constexpr int kNone[kClosesMax] = {-1, -1, -1, -1};
    TRY_VOID(write(scratch_, kNone, sizeof(kNone)));
    before_ = saved_.frame(signal_mask_);
    TRY_VOID(write(frame_, &before_, sizeof(before_)));
    fault_point("frame written");
    // A call that changes nothing, and is not made: it only has the thread where it would find its way back,
    // with its mask.
    TRY_VOID(set_call("rt_sigprocmask", SYS_rt_sigprocmask, {SIG_BLOCK, 0, 0, kSignalSetBytes}));
    fault_point("calls prepared");
    // A handler that ran between two calls would see the process half changed.
    const uint64_t all = ~uint64_t{0};
    if (ptrace(PTRACE_SETSIGMASK, tid_, kSignalSetBytes, &all))
        return Error::system("PTRACE_SETSIGMASK", thread_name(tid_), errno);
    mask_changed_ = true;
    fault_point("mask blocked");
    return {};
}

// The kernel gives the process a copy of its own of the page that is written to.
Status Tracee::put_code() {
    const uint64_t base = vdso_base(tid_);
    if (!base || !vdso_size()) return Error::refused(thread_name(tid_), "has no vDSO to make system calls from");
    code_ = base + vdso_size() - kCallCodePlace;
    CallCode there{}, wanted{};
    memcpy(wanted.data(), kCallCode, sizeof(kCallCode));
    const bool is_readable = static_cast<bool>(read(code_, there.data(), there.size()));
    if (is_readable && there == wanted) return {};
    if (!is_readable || there != unused_place())
        return Error::refused(thread_name(tid_), "has another vDSO (32-bit or foreign process)");
    for (size_t at = 0; at < wanted.size(); at += sizeof(long)) {
        long word = 0;
        memcpy(&word, wanted.data() + at, sizeof(word));
        if (ptrace(PTRACE_POKETEXT, tid_, code_ + at, word)) return Error::system("PTRACE_POKETEXT", thread_name(tid_), errno);
    }
    return {};
}

// waitpid() has no time-out. A stop takes microseconds, so it is waited for awake; only a thread that cannot stop (in
// an uninterruptible sleep) is looked at in pauses.
Result<int> Tracee::wait_for_stop(std::chrono::steady_clock::time_point deadline) {
    for (int round = 0;; ++round) {
        const std::chrono::nanoseconds pause = round > kAwakeRounds ? kPause : std::chrono::nanoseconds(0);
        if (while_waiting_) {
            while_waiting_(pause, round > kAwakeRounds + kPausesInHope);
        } else if (pause.count()) {
            std::this_thread::sleep_for(pause);
        }
        int status = 0;
        pid_t found = waitpid(tid_, &status, __WALL | WNOHANG);
        if (found < 0) {
            gone_ = true;
            return Error::system("waitpid", thread_name(tid_), errno);
        }
        if (found == tid_) {
            if (WIFEXITED(status) || WIFSIGNALED(status)) {
                gone_ = true;
                return Error{ErrorKind::gone, 0, thread_name(tid_), "ended while it was being stopped"};
            }
            stopped_ = true;
            return status;
        }
        if (std::chrono::steady_clock::now() > deadline) return Error::refused(thread_name(tid_), "did not stop in time");
    }
}

// To the next stop at the beginning or the end of a system call. On a busy host the thread may have to wait
// for its processor; the process is half changed, so it is waited for as long as for a stop.
Status Tracee::step() {
    auto deadline = std::chrono::steady_clock::now() + kStopTimeout;
    for (;;) {
        stopped_ = false;
        if (ptrace(PTRACE_SYSCALL, tid_, nullptr, nullptr)) {
            stopped_ = true;
            return Error::system("PTRACE_SYSCALL", thread_name(tid_), errno);
        }
        int status = TRY(wait_for_stop(deadline));
        if (status >> 16 == PTRACE_EVENT_STOP) continue;  // a group stop of the process came in between
        if (WSTOPSIG(status) == (SIGTRAP | kSystemCallStop)) return {};
        return Error{ErrorKind::refused, 0, thread_name(tid_), "stopped by signal " + std::to_string(WSTOPSIG(status))};
    }
}

Status Tracee::set_call(const char* name, long number, std::initializer_list<uint64_t> arguments) {
    assert(code_ && arguments.size() <= 6);
    uint64_t six[6] = {};
    std::copy(arguments.begin(), arguments.end(), six);
    Registers registers = at_stop_;
    registers.prepare_call(code_, frame_, number, six, before_, saved_, scratch_, closes_);
    iovec view{&registers.raw, sizeof(registers.raw)};
    if (ptrace(PTRACE_SETREGSET, tid_, NT_PRSTATUS, &view)) return Error::system("PTRACE_SETREGSET", name, errno);
    touched_ = true;
    return {};
}

Result<long> Tracee::call(const char* name, long number, std::initializer_list<uint64_t> arguments) {
    TRY_VOID(set_call(name, number, arguments));
    fault_point("call set");
    fault_point(name);
    TRY_VOID(step());
    fault_point("call begun");
    TRY_VOID(step());
    fault_point("call made");
    Registers registers;
    iovec view{&registers.raw, sizeof(registers.raw)};
    if (ptrace(PTRACE_GETREGSET, tid_, NT_PRSTATUS, &view)) return Error::system("PTRACE_GETREGSET", name, errno);
    long result = registers.result();
    if (result < 0 && result > -4096) return Error::system(name, "in " + thread_name(tid_), static_cast<int>(-result));
    return result;
}

Status Tracee::read(uint64_t address, void* into, size_t bytes) const {
    iovec local{into, bytes}, remote{reinterpret_cast<void*>(address), bytes};
    ssize_t got = process_vm_readv(tid_, &local, 1, &remote, 1, 0);
    if (got != static_cast<ssize_t>(bytes)) return Error::system("process_vm_readv", thread_name(tid_), got < 0 ? errno : EFAULT);
    return {};
}

Status Tracee::write(uint64_t address, const void* from, size_t bytes) const {
    iovec local{const_cast<void*>(from), bytes}, remote{reinterpret_cast<void*>(address), bytes};
    ssize_t put = process_vm_writev(tid_, &local, 1, &remote, 1, 0);
    if (put != static_cast<ssize_t>(bytes))
        return Error::system("process_vm_writev", thread_name(tid_), put < 0 ? errno : EFAULT);
    return {};
}

}  // namespace callgate
