// The registers of a stopped thread, as the system call convention sees them (x86-64: syscall(2), System V psABI).
//
// What the kernel leaves in the accumulator of a thread that was interrupted inside a system call says how that call
// goes on (kernel: include/linux/errno.h); a debugger that changes the registers must do the kernel's part itself.
#pragma once
#include <sys/syscall.h>
#include <sys/user.h>

#include <cstddef>
#include <cstdint>

#if !defined(__x86_64__)
#error "take-over knows x86-64 only: add the registers of this architecture here"
#endif

namespace callgate {

// What a thread has to go back to, in the order in which kCallCode takes it from the stack.
struct CallFrame {
    uint64_t signal_mask, r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax, flags, rip;
};
static_assert(sizeof(CallFrame) == 144 && offsetof(CallFrame, rax) == 120 && offsetof(CallFrame, rip) == 136);

// Code that makes one system call. While we trace the thread it is stopped behind the call, and never gets further. Once
// nobody traces it any more, because the agent was killed, it goes by itself to where it is to go on: the frame ends where
// the red zone of the thread's stack begins.
inline constexpr uint8_t kCallCode[] = {
    0x0f, 0x05,                                      // syscall
    0x4d, 0x85, 0xe4,                                // test %r12, %r12: numbers to be closed, at %r13
    0x74, 0x11,                                      // jz   behind the loop
    0x49, 0xff, 0xcc,                                // dec  %r12
    0x43, 0x8b, 0x7c, 0xa5, 0x00,                    // mov  (%r13, %r12, 4), %edi
    0xb8, 0x03, 0x00, 0x00, 0x00,                    // mov  $SYS_close, %eax
    0x0f, 0x05,                                      // syscall
    0xeb, 0xea,                                      // jmp  to the test
    0x48, 0x29, 0x9c, 0x24, 0x88, 0x00, 0x00, 0x00,  // sub  %rbx, rip of the frame
    0x48, 0x89, 0x6c, 0x24, 0x78,                    // mov  %rbp, rax of the frame
    0xb8, 0x0e, 0x00, 0x00, 0x00,                    // mov  $SYS_rt_sigprocmask, %eax
    0xbf, 0x02, 0x00, 0x00, 0x00,                    // mov  $SIG_SETMASK, %edi
    0x48, 0x89, 0xe6,                                // mov  %rsp, %rsi
    0x31, 0xd2,                                      // xor  %edx, %edx
    0x41, 0xba, 0x08, 0x00, 0x00, 0x00,              // mov  $8, %r10d
    0x0f, 0x05,                                      // syscall
    0x58,                                            // pop  %rax (the mask)
    0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c,  // pop  %r15 … %r12
    0x41, 0x5b, 0x41, 0x5a, 0x41, 0x59, 0x41, 0x58,  // pop  %r11 … %r8
    0x5d, 0x5f, 0x5e, 0x5a, 0x59, 0x5b, 0x58,        // pop  %rbp, %rdi, %rsi, %rdx, %rcx, %rbx, %rax
    0x9d,                                            // popfq
    0xc2, 0x80, 0x00,                                // ret  $128, over the red zone
};

struct Registers {
    user_regs_struct raw{};

    static constexpr long kRestartSys = -512;       // ERESTARTSYS
    static constexpr long kRestartNoIntr = -513;    // ERESTARTNOINTR
    static constexpr long kRestartNoHand = -514;    // ERESTARTNOHAND
    static constexpr long kRestartBlock = -516;     // ERESTART_RESTARTBLOCK
    static constexpr uint64_t kRedZoneBytes = 128;  // below the stack pointer, psABI 3.2.2
    static constexpr unsigned kSyscallBytes = 2;    // length of the `syscall` instruction

    long result() const { return static_cast<long>(raw.rax); }
    // The system call the thread is leaving; -1 where it was interrupted in user code.
    long system_call() const { return static_cast<long>(raw.orig_rax); }
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

    // A call of the code at `code` (kCallCode), whose frame is at `frame`; afterwards the thread is to have what `after` has, and
    // the descriptors closed whose numbers are the first `closes` at `made`.
    void prepare_call(uint64_t code, uint64_t frame, long number, const uint64_t (&arguments)[6], const CallFrame& before,
                      const Registers& after, uint64_t made, uint64_t closes) {
        raw.rip = code;
        raw.rsp = frame;
        raw.rax = number;
        raw.orig_rax = ~uint64_t{0};
        raw.rdi = arguments[0];
        raw.rsi = arguments[1];
        raw.rdx = arguments[2];
        raw.r10 = arguments[3];
        raw.r8 = arguments[4];
        raw.r9 = arguments[5];
        raw.r12 = closes;
        raw.r13 = made;
        raw.rbx = before.rip - after.raw.rip;
        raw.rbp = after.raw.rax;
    }

    CallFrame frame(uint64_t signal_mask) const {
        return {signal_mask, raw.r15, raw.r14, raw.r13, raw.r12, raw.r11, raw.r10, raw.r9,     raw.r8,
                raw.rbp,     raw.rdi, raw.rsi, raw.rdx, raw.rcx, raw.rbx, raw.rax, raw.eflags, raw.rip};
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
    bool needs_settling() const { return system_call() >= 0 && result() == -4 && reports_stop_as_eintr(system_call()); }

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
            case SYS_read: return true;
            default: return false;
        }
    }
};

}  // namespace callgate
