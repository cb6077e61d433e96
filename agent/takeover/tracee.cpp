#include "takeover/tracee.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <vector>

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
constexpr uint8_t kSyscallInstruction[] = {0x0f, 0x05};

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

// Offset of a `syscall` instruction in the vDSO: it falls back to the real call for clocks it does not know. The
// image is the same in every process of one kernel, so it is looked for once, in our own.
uint64_t vdso_syscall_offset() {
    static const uint64_t offset = [] {
        uint64_t base = vdso_base(getpid());
        if (!base) return uint64_t{0};
        const auto* image = reinterpret_cast<const uint8_t*>(base);
        Elf64_Ehdr header;
        memcpy(&header, image, sizeof(header));
        for (int i = 0; i < header.e_phnum; ++i) {
            Elf64_Phdr segment;
            memcpy(&segment, image + header.e_phoff + i * sizeof(segment), sizeof(segment));
            if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_X)) continue;
            for (uint64_t at = segment.p_offset; at + 2 <= segment.p_offset + segment.p_filesz; ++at)
                if (!memcmp(image + at, kSyscallInstruction, sizeof(kSyscallInstruction))) return at;
        }
        return uint64_t{0};
    }();
    return offset;
}

}  // namespace

Result<std::unique_ptr<Tracee>> Tracee::interrupt(pid_t tid, const WhileWaiting& while_waiting) {
    std::unique_ptr<Tracee> tracee(new Tracee(tid, while_waiting));
    if (ptrace(PTRACE_SEIZE, tid, nullptr, 0L)) return Error::system("PTRACE_SEIZE", thread_name(tid), errno);
    tracee->seized_ = true;
    our_tracees().add(tid);
    if (ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr))
        return Error::system("PTRACE_INTERRUPT", thread_name(tid), errno);
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
    if (scratch_saved_) (void)write(scratch_, scratch_content_, sizeof(scratch_content_));
    if (touched_ || memcmp(&saved_.raw, &at_stop_.raw, sizeof(saved_.raw))) {
        iovec view{&saved_.raw, sizeof(saved_.raw)};
        ptrace(PTRACE_SETREGSET, tid_, NT_PRSTATUS, &view);
    }
    if (mask_saved_) ptrace(PTRACE_SETSIGMASK, tid_, kSignalSetBytes, &signal_mask_);
    if (!ptrace(PTRACE_DETACH, tid_, nullptr, nullptr)) return true;
    // It was killed in its stop: its parent hears of that when we have.
    stopped_ = false;
    (void)wait_for_stop(deadline);
    return gone_;
}

Status Tracee::prepare_calls(bool suspend_seccomp) {
    if (suspend_seccomp && ptrace(PTRACE_SETOPTIONS, tid_, nullptr, static_cast<long>(PTRACE_O_SUSPEND_SECCOMP)))
        return Error::system("PTRACE_O_SUSPEND_SECCOMP", thread_name(tid_) + " has a seccomp filter", errno);
    uint64_t base = vdso_base(tid_);
    if (!base || !vdso_syscall_offset()) return Error::refused(thread_name(tid_), "has no vDSO to make system calls from");
    instruction_ = base + vdso_syscall_offset();
    uint8_t bytes[sizeof(kSyscallInstruction)];
    if (!read(instruction_, bytes, sizeof(bytes)) || memcmp(bytes, kSyscallInstruction, sizeof(bytes)))
        return Error::refused(thread_name(tid_), "has another vDSO (32-bit or foreign process)");
    scratch_ = (saved_.stack() - Registers::kRedZoneBytes - kScratchBytes) & ~uint64_t{15};
    TRY_VOID(read(scratch_, scratch_content_, sizeof(scratch_content_)));
    scratch_saved_ = true;
    // A signal between two calls would be taken for their result: block them all meanwhile, but the one that ends a
    // step: the kernel forces that one, and would reset what the process does with it.
    if (ptrace(PTRACE_GETSIGMASK, tid_, kSignalSetBytes, &signal_mask_))
        return Error::system("PTRACE_GETSIGMASK", thread_name(tid_), errno);
    uint64_t all = ~(uint64_t{1} << (SIGTRAP - 1));
    if (ptrace(PTRACE_SETSIGMASK, tid_, kSignalSetBytes, &all))
        return Error::system("PTRACE_SETSIGMASK", thread_name(tid_), errno);
    mask_saved_ = true;
    // From here on the thread does not pass through the kernel's restart code any more: settle what it was in.
    saved_.settle_interrupted_call();
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
        if (std::chrono::steady_clock::now() > deadline)
            return Error::refused(thread_name(tid_), "did not stop in time");
    }
}

// Executes one instruction, the system call. It ends in a SIGTRAP that only we see.
Status Tracee::step() {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    for (;;) {
        stopped_ = false;
        if (ptrace(PTRACE_SINGLESTEP, tid_, nullptr, nullptr)) {
            stopped_ = true;
            return Error::system("PTRACE_SINGLESTEP", thread_name(tid_), errno);
        }
        int status = TRY(wait_for_stop(deadline));
        if (status >> 16 == PTRACE_EVENT_STOP) continue;  // a group stop of the process came in between
        if (WSTOPSIG(status) == SIGTRAP) return {};
        return Error{ErrorKind::refused, 0, thread_name(tid_), "stopped by signal " + std::to_string(WSTOPSIG(status))};
    }
}

Result<long> Tracee::call(const char* name, long number, std::initializer_list<uint64_t> arguments) {
    assert(instruction_ && arguments.size() <= 6);
    uint64_t six[6] = {};
    std::copy(arguments.begin(), arguments.end(), six);
    Registers registers = at_stop_;
    registers.prepare_call(instruction_, number, six);
    iovec view{&registers.raw, sizeof(registers.raw)};
    if (ptrace(PTRACE_SETREGSET, tid_, NT_PRSTATUS, &view)) return Error::system("PTRACE_SETREGSET", name, errno);
    touched_ = true;
    TRY_VOID(step());
    view.iov_len = sizeof(registers.raw);
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
    if (put != static_cast<ssize_t>(bytes)) return Error::system("process_vm_writev", thread_name(tid_), put < 0 ? errno : EFAULT);
    return {};
}

}  // namespace callgate
