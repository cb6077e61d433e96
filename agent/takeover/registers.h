// The registers of a stopped thread, as the system call convention sees them (x86-64: syscall(2), System V psABI).
//
// What the kernel leaves in the accumulator of a thread that was interrupted inside a system call says how that call
// goes on (kernel: include/linux/errno.h); a debugger that changes the registers must do the kernel's part itself.
#pragma once
#include <sys/syscall.h>
#include <sys/user.h>

#include <cstdint>

#if !defined(__x86_64__)
#error "take-over knows x86-64 only: add the registers of this architecture here"
#endif

namespace callgate {

struct Registers {
    user_regs_struct raw{};

    static constexpr long kRestartSys = -512;      // ERESTARTSYS
    static constexpr long kRestartNoIntr = -513;   // ERESTARTNOINTR
    static constexpr long kRestartNoHand = -514;   // ERESTARTNOHAND
    static constexpr long kRestartBlock = -516;    // ERESTART_RESTARTBLOCK
    static constexpr uint64_t kRedZoneBytes = 128;  // below the stack pointer, psABI 3.2.2
    static constexpr unsigned kSyscallBytes = 2;    // length of the `syscall` instruction

    long result() const { return static_cast<long>(raw.rax); }
    // The system call the thread is leaving; -1 where it was interrupted in user code.
    long system_call() const { return static_cast<long>(raw.orig_rax); }
    // It has made no system call since its program was started.
    bool is_new_program() const { return system_call() == SYS_execve || system_call() == SYS_execveat; }
    uint64_t argument_1() const { return raw.rdi; }
    uint64_t argument_2() const { return raw.rsi; }
    uint64_t stack() const { return raw.rsp; }
    bool is_at(uint64_t instruction, uint64_t stack) const { return raw.rip == instruction && raw.rsp == stack; }

    // Put back onto the system call: it is made again, as if it had not been made yet.
    void call_again() {
        raw.rip -= kSyscallBytes;
        raw.rax = raw.orig_rax;
        raw.orig_rax = ~uint64_t{0};
    }

    void prepare_call(uint64_t instruction, long number, const uint64_t (&arguments)[6]) {
        raw.rip = instruction;
        raw.rax = number;
        raw.orig_rax = ~uint64_t{0};
        raw.rdi = arguments[0];
        raw.rsi = arguments[1];
        raw.rdx = arguments[2];
        raw.r10 = arguments[3];
        raw.r8 = arguments[4];
        raw.r9 = arguments[5];
    }

    // Does the kernel's part for a thread that will not pass through its signal code again: an interrupted call is
    // made again, one with a time-out goes on with what is left of it, and one that would report EINTR because of
    // our stop does not.
    void settle_interrupted_call() {
        if (system_call() < 0) return;
        switch (result()) {
            case kRestartSys:
            case kRestartNoIntr:
            case kRestartNoHand: call_again(); return;
            case kRestartBlock:
                raw.rip -= kSyscallBytes;
                raw.rax = SYS_restart_syscall;
                raw.orig_rax = ~uint64_t{0};
                return;
            case -4 /* EINTR */:
                if (reports_stop_as_eintr(system_call())) call_again();
                return;
            default: return;
        }
    }
    bool needs_settling() const {
        return system_call() >= 0 && result() == -4 && reports_stop_as_eintr(system_call());
    }

    // Calls that return EINTR after a stop even where no handler ran (signal(7), last section).
    static bool reports_stop_as_eintr(long number) {
        switch (number) {
            case SYS_epoll_wait:
            case SYS_epoll_pwait:
            case SYS_epoll_pwait2:
            case SYS_semop:
            case SYS_semtimedop:
            case SYS_rt_sigtimedwait:
            case SYS_io_getevents:
            case SYS_io_uring_enter:
            case SYS_recvfrom:
            case SYS_recvmsg:
            case SYS_recvmmsg:
            case SYS_sendto:
            case SYS_sendmsg:
            case SYS_read:
                return true;
            default: return false;
        }
    }
};

}  // namespace callgate
