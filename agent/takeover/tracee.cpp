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

// The vDSO's last page has room behind everything that is executed or read at run time (zeros, or the section headers).
// At its very end is kCallCode, before it the number of the signal, and before that the calls. The image is the same in
// every process of one kernel, so it is looked at in our own.
struct Vdso {
    uint64_t size = 0;  // bytes, whole pages
    uint64_t room = 0;  // at its end
};

const Vdso& vdso() {
    static const Vdso found = [] {
        const uint64_t base = vdso_base(getpid());
        if (!base) return Vdso();
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
        const uint64_t size = (end + page - 1) / page * page;
        return Vdso{size, std::min(size - end, page)};
    }();
    return found;
}

constexpr uint64_t kCallCodePlace = (sizeof(kCallCode) + 7) / 8 * 8;
constexpr size_t kCallsAtOnceMax = 16;
using CallCode = std::array<uint8_t, kCallCodePlace>;

// By its beginning (headers, symbols, the build's id) one image is told from another. Its end is no sign: other versions of
// this program may have left their own code there.
using VdsoBeginning = std::array<uint8_t, 2048>;
const VdsoBeginning& vdso_beginning() {
    static const VdsoBeginning found = [] {
        VdsoBeginning bytes{};
        memcpy(bytes.data(), reinterpret_cast<const uint8_t*>(vdso_base(getpid())), bytes.size());
        return bytes;
    }();
    return found;
}

// A signal that the thread's stop is asked for with; while nobody traces it, one that means nothing to it, if there is one.
int signal_for_stops(uint64_t caught, uint64_t blocked) {
    constexpr int kIgnoredByDefault[] = {SIGURG, SIGWINCH, SIGCHLD};
    for (const int each : kIgnoredByDefault)
        if (!((caught | blocked) >> (each - 1) & 1)) return each;
    return SIGURG;  // whoever uses that looks for what it is about: a runtime that stops its own threads, out-of-band data
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
    saved_ = at_stop_ = TRY(get_registers());
    return {};
}

Result<std::unique_ptr<Tracee>> Tracee::stop(pid_t tid, const WhileWaiting& while_waiting) {
    auto tracee = TRY(interrupt(tid, while_waiting));
    TRY_VOID(tracee->await_stop());
    return tracee;
}

bool Tracee::is_ours(pid_t tid) { return our_tracees().has(tid); }

// Each thread of ours has its own: ptrace calls come from the tracer.
class Tracee::LeftBehind {
  public:
    LeftBehind() = default;
    LeftBehind(const LeftBehind&) = delete;
    LeftBehind& operator=(const LeftBehind&) = delete;
    // The kernel lets go of the rest when our thread has ended.
    ~LeftBehind() {
        look();
        for (auto& each : all_) each->forget();
    }
    void add(std::unique_ptr<Tracee> tracee) { all_.push_back(std::move(tracee)); }
    bool look() {
        std::erase_if(all_, [](std::unique_ptr<Tracee>& each) {
            if (!each->detach(std::chrono::milliseconds(0))) return false;
            each->forget();
            return true;
        });
        return !all_.empty();
    }

  private:
    std::vector<std::unique_ptr<Tracee>> all_;
};

Tracee::LeftBehind& Tracee::left_behind() {
    static thread_local LeftBehind own;
    return own;
}

bool Tracee::let_go_of_those_left_behind() { return left_behind().look(); }

Tracee::~Tracee() {
    if (!seized_) return;
    if (detach(kDetachPatience)) {
        forget();
        return;
    }
    while_waiting_ = nullptr;
    left_behind().add(std::unique_ptr<Tracee>(new Tracee(std::move(*this))));
}

void Tracee::forget() {
    seized_ = false;
    our_tracees().remove(tid_);
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
    // Where nobody had it do something else: nothing came of the stop, which must not show as an EINTR either.
    if (!memcmp(&saved_.raw, &settled_.raw, sizeof(saved_.raw))) saved_ = at_stop_;
    saved_.leave_interrupted_call_to_kernel();
    // In this order: a thread that we are killed behind any of these goes on all the same.
    if (mask_changed_) ptrace(PTRACE_SETSIGMASK, tid_, kSignalSetBytes, &signal_mask_);
    fault_point("mask set");
    if (touched_ || memcmp(&saved_.raw, &at_stop_.raw, sizeof(saved_.raw))) {
        iovec view{&saved_.raw, sizeof(saved_.raw)};
        ptrace(PTRACE_SETREGSET, tid_, NT_PRSTATUS, &view);
    }
    fault_point("registers set");
    if (!borrowed_.empty()) (void)write(scratch_, borrowed_.data(), borrowed_.size());
    if (!ptrace(PTRACE_DETACH, tid_, nullptr, nullptr)) {
        for (const int each : not_ours_) syscall(SYS_tkill, tid_, each);
        return true;
    }
    // It was killed in its stop: its parent hears of that when we have.
    stopped_ = false;
    (void)wait_for_stop(deadline);
    return gone_;
}

Status Tracee::prepare_calls(const ProcessStatus& status) {
    const bool has_filter = status.value("Seccomp") != 0;
    if (has_filter && ptrace(PTRACE_SETOPTIONS, tid_, nullptr, static_cast<long>(PTRACE_O_SUSPEND_SECCOMP)))
        return Error::system("PTRACE_SETOPTIONS", thread_name(tid_) + " has a seccomp filter", errno);
    TRY_VOID(put_code());
    // Should we be killed, the thread does not pass through the kernel's restart code any more: settle what it was in.
    saved_.settle_interrupted_call();
    settled_ = saved_;
    frame_ = saved_.stack() - Registers::kRedZoneBytes - sizeof(CallFrame);
    scratch_ = frame_ - kScratchBytes;
    borrowed_.resize(kScratchBytes + sizeof(CallFrame));
    TRY_VOID(read(scratch_, borrowed_.data(), borrowed_.size()));
    if (ptrace(PTRACE_GETSIGMASK, tid_, kSignalSetBytes, &signal_mask_))
        return Error::system("PTRACE_GETSIGMASK", thread_name(tid_), errno);
    const uint64_t caught = status.mask("SigCgt");
    stop_signal_ = signal_for_stops(caught, signal_mask_);
    // One that comes at the same time as that is one with it.
    if (caught >> (stop_signal_ - 1) & 1) not_ours_.push_back(stop_signal_);
    before_ = saved_.frame(signal_mask_);
    struct {
        int numbers[kScratchBytes / sizeof(int)];
        CallFrame frame;
    } stack;
    static_assert(sizeof(stack) == kScratchBytes + sizeof(CallFrame));
    std::fill(std::begin(stack.numbers), std::end(stack.numbers), -1);
    stack.frame = before_;
    TRY_VOID(write(scratch_, &stack, sizeof(stack)));
    fault_point("frame written");
    // No call: it only has the thread where it would find its way back, with its mask.
    TRY_VOID(set_registers(code_, code_, saved_));
    fault_point("calls prepared");
    // A handler that ran between two calls would see the process half changed.
    const uint64_t all_others = ~(uint64_t{1} << (stop_signal_ - 1));
    if (ptrace(PTRACE_SETSIGMASK, tid_, kSignalSetBytes, &all_others))
        return Error::system("PTRACE_SETSIGMASK", thread_name(tid_), errno);
    mask_changed_ = true;
    fault_point("mask blocked");
    return {};
}

// The kernel gives the process a copy of its own of the page that is written to.
Status Tracee::put_code() {
    const uint64_t base = vdso_base(tid_);
    if (!base || !calls_at_once()) return Error::refused(thread_name(tid_), "has no vDSO to make system calls from");
    code_ = base + vdso().size - kCallCodePlace;
    memory_ = Fd::adopt(open(proc_path(tid_, "mem").c_str(), O_RDWR | O_CLOEXEC));
    TRY_VOID(leave_code());
    CallCode there{}, wanted{};
    VdsoBeginning beginning{};
    memcpy(wanted.data(), kCallCode, sizeof(kCallCode));
    if (!read(base, beginning.data(), beginning.size()) || beginning != vdso_beginning() ||
        !read(code_, there.data(), there.size()))
        return Error::refused(thread_name(tid_), "has another vDSO (32-bit or foreign process)");
    if (there == wanted) return {};
    return write_code(code_, wanted.data(), wanted.size());
}

// Its last tracer was killed, and it is still at the calls that it was to make: they are few.
Status Tracee::leave_code() {
    const auto deadline = std::chrono::steady_clock::now() + kStopTimeout;
    while (saved_.is_in(code_)) {
        if (std::chrono::steady_clock::now() > deadline)
            return Error::refused(thread_name(tid_), "is still at calls that an agent before has asked it for");
        stopped_ = false;
        if (ptrace(PTRACE_CONT, tid_, nullptr, nullptr)) return Error::system("PTRACE_CONT", thread_name(tid_), errno);
        if (ptrace(PTRACE_INTERRUPT, tid_, nullptr, nullptr)) return Error::system("PTRACE_INTERRUPT", thread_name(tid_), errno);
        TRY_VOID(await_stop());
    }
    return {};
}

// To where the process itself cannot write. Some kernels let nobody do so through /proc (proc_mem.force_override).
Status Tracee::write_code(uint64_t address, const void* from, size_t bytes) {
    if (memory_ && pwrite(memory_.get(), from, bytes, static_cast<off_t>(address)) == static_cast<ssize_t>(bytes)) return {};
    for (size_t at = 0; at < bytes; at += sizeof(long)) {
        long word = 0;
        memcpy(&word, static_cast<const char*>(from) + at, sizeof(word));
        if (ptrace(PTRACE_POKETEXT, tid_, address + at, word)) return Error::system("PTRACE_POKETEXT", thread_name(tid_), errno);
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

Status Tracee::set_registers(uint64_t first, uint64_t behind, const Registers& after) {
    Registers registers = at_stop_;
    registers.prepare_calls(code_, first, behind, scratch_, before_, after, scratch_ + closes_place_, closes_);
    iovec view{&registers.raw, sizeof(registers.raw)};
    if (ptrace(PTRACE_SETREGSET, tid_, NT_PRSTATUS, &view)) return Error::system("PTRACE_SETREGSET", thread_name(tid_), errno);
    touched_ = true;
    return {};
}

Result<Registers> Tracee::get_registers() const {
    Registers registers;
    iovec view{&registers.raw, sizeof(registers.raw)};
    if (ptrace(PTRACE_GETREGSET, tid_, NT_PRSTATUS, &view)) return Error::system("PTRACE_GETREGSET", thread_name(tid_), errno);
    return registers;
}

// Up to the signal behind the calls that are set. On a busy host the thread may have to wait for its processor; the process
// is half changed, so it is waited for as long as for a stop.
Result<Registers> Tracee::make_calls() {
    auto deadline = std::chrono::steady_clock::now() + kStopTimeout;
    for (;;) {
        stopped_ = false;
        if (ptrace(PTRACE_CONT, tid_, nullptr, nullptr)) {
            stopped_ = true;
            return Error::system("PTRACE_CONT", thread_name(tid_), errno);
        }
        fault_point("calls begun");
        int status = TRY(wait_for_stop(deadline));
        if (status >> 16 == PTRACE_EVENT_STOP) continue;  // a group stop of the process came in between
        const int signal = WSTOPSIG(status);
        if (signal == stop_signal_) {
            Registers registers = TRY(get_registers());
            if (registers.are_calls_made(code_)) return registers;
        } else if (signal != SIGSTOP) {
            return Error{ErrorKind::refused, 0, thread_name(tid_), "stopped by signal " + std::to_string(signal)};
        }
        if (std::find(not_ours_.begin(), not_ours_.end(), signal) == not_ours_.end()) not_ours_.push_back(signal);
    }
}

size_t Tracee::calls_at_once() {
    if (vdso().room < kCallCodePlace + sizeof(uint64_t)) return 0;
    return std::min<size_t>((vdso().room - kCallCodePlace - sizeof(uint64_t)) / kCallBytes, kCallsAtOnceMax);
}

Result<long> Tracee::call(const std::vector<KernelCall>& calls) {
    constexpr size_t kArguments = std::tuple_size_v<decltype(KernelCall::arguments)>;
    static_assert(kCallBytes == sizeof(uint64_t) * (1 + kArguments) + sizeof(KernelCall::data));
    assert(code_ && !calls.empty());
    Registers as_it_was = at_stop_;
    as_it_was.settle_interrupted_call();
    long result = 0;
    for (size_t begin = 0; begin < calls.size();) {
        const size_t end = std::min(begin + calls_at_once(), calls.size());
        const uint64_t behind = code_ - sizeof(uint64_t), first = behind - (end - begin) * kCallBytes;
        std::vector<uint64_t> words;
        for (size_t i = begin; i < end; ++i) {
            const KernelCall& call = calls[i];
            std::array<uint64_t, kArguments> arguments = call.arguments;
            words.push_back(static_cast<uint64_t>(call.number));
            if (call.data_at >= 0) arguments[call.data_at] = first + (words.size() + kArguments) * sizeof(uint64_t);
            words.insert(words.end(), arguments.begin(), arguments.end());
            words.insert(words.end(), call.data.begin(), call.data.end());
        }
        words.push_back(static_cast<uint64_t>(stop_signal_));
        TRY_VOID(write_code(first, words.data(), words.size() * sizeof(uint64_t)));
        TRY_VOID(set_registers(first, behind, end == calls.size() ? saved_ : as_it_was));
        fault_point("calls set");
        const Registers made = TRY(make_calls());
        fault_point("calls made");
        result = made.last_result();
        if (made.behind_failed()) {
            const KernelCall& failed = calls[begin + (made.behind_failed() - first) / kCallBytes - 1];
            return Error::system(failed.name, "in " + thread_name(tid_), static_cast<int>(-result));
        }
        begin = end;
    }
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
