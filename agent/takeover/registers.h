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

// Code that makes system calls, one after the other up to the first that fails, and sends the thread a signal that means
// nothing to it: while we trace it, that stops it at kCallsMade. Once nobody traces it any more, because the agent was
// killed, it goes by itself to where it is to go on: the frame ends where the red zone of the thread's stack begins.
//
//   r12   the next call: its number and four arguments; kCallBytes each      r8    what the last call has returned
//   r15   behind the last one: the number of the signal                      r9    behind the call that failed, or 0
//   rsp   kScratchBytes below the frame                                      r14   how many descriptors are to be closed
//   rbx   how far before the frame's rip it is to go on                      r13   their numbers
//   rbp   what it is to have in rax
inline constexpr uint64_t kScratchBytes = 128, kCallBytes = 56, kCallsMade = 0x57;
inline constexpr uint8_t kCallCode[] = {
    0x4d, 0x39, 0xfc,                                // cmp  %r15, %r12
    0x74, 0x36,                                      // je   to the signal
    0x49, 0x8b, 0x04, 0x24,                          // mov  (%r12), %rax
    0x49, 0x8b, 0x7c, 0x24, 0x08,                    // mov  8(%r12), %rdi
    0x49, 0x8b, 0x74, 0x24, 0x10,                    // mov  16(%r12), %rsi
    0x49, 0x8b, 0x54, 0x24, 0x18,                    // mov  24(%r12), %rdx
    0x4d, 0x8b, 0x54, 0x24, 0x20,                    // mov  32(%r12), %r10
    0x0f, 0x05,                                      // syscall
    0x49, 0x89, 0xc0,                                // mov  %rax, %r8
    0x49, 0x83, 0xc4, 0x38,                          // add  $kCallBytes, %r12
    0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff,              // cmp  $-4096, %rax
    0x76, 0xd2,                                      // jbe  to the next one
    0x4d, 0x89, 0xe1,                                // mov  %r12, %r9
    0x31, 0xdb,                                      // xor  %ebx, %ebx: it goes on as it was
    0x48, 0x8b, 0xac, 0x24, 0xf8, 0x00, 0x00, 0x00,  // mov  rax of the frame, %rbp
    0xb8, 0x27, 0x00, 0x00, 0x00,                    // mov  $SYS_getpid, %eax: in its own namespace
    0x0f, 0x05,                                      // syscall
    0x89, 0xc7,                                      // mov  %eax, %edi
    0xb8, 0xba, 0x00, 0x00, 0x00,                    // mov  $SYS_gettid, %eax
    0x0f, 0x05,                                      // syscall
    0x89, 0xc6,                                      // mov  %eax, %esi
    0x41, 0x8b, 0x17,                                // mov  (%r15), %edx
    0xb8, 0xea, 0x00, 0x00, 0x00,                    // mov  $SYS_tgkill, %eax
    0x0f, 0x05,                                      // syscall
    0x4d, 0x85, 0xf6,                                // test %r14, %r14: kCallsMade
    0x74, 0x11,                                      // jz   behind the loop
    0x49, 0xff, 0xce,                                // dec  %r14
    0x43, 0x8b, 0x7c, 0xb5, 0x00,                    // mov  (%r13, %r14, 4), %edi
    0xb8, 0x03, 0x00, 0x00, 0x00,                    // mov  $SYS_close, %eax
    0x0f, 0x05,                                      // syscall
    0xeb, 0xea,                                      // jmp  to the test
    0x48, 0x83, 0xec, 0x80,                          // sub  $-kScratchBytes, %rsp
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

    // The code at `code` (kCallCode) is to make the calls from `first` to `behind`; afterwards the thread is to have what
    // `after` has, and the descriptors closed whose numbers are the first `closes` at `made`. `scratch`: below its frame.
    void prepare_calls(uint64_t code, uint64_t first, uint64_t behind, uint64_t scratch, const CallFrame& before,
                       const Registers& after, uint64_t made, uint64_t closes) {
        raw.rip = first == behind ? code + kCallsMade : code;
        raw.rsp = scratch;
        raw.orig_rax = ~uint64_t{0};
        raw.r8 = raw.r9 = 0;
        raw.r12 = first;
        raw.r13 = made;
        raw.r14 = closes;
        raw.r15 = behind;
        raw.rbx = before.rip - after.raw.rip;
        raw.rbp = after.raw.rax;
    }
    bool are_calls_made(uint64_t code) const { return raw.rip == code + kCallsMade; }
    bool is_in(uint64_t code) const { return raw.rip >= code && raw.rip < code + sizeof(kCallCode); }
    long last_result() const { return static_cast<long>(raw.r8); }
    uint64_t behind_failed() const { return raw.r9; }

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
    // Of a thread that will pass through it: whether a handler is to run is known only then. Without one the call that would
    // report our stop is made again; with one it is interrupted.
    void leave_interrupted_call_to_kernel() {
        if (system_call() >= 0 && result() == -4 && reports_stop_as_eintr(system_call()))
            raw.rax = static_cast<unsigned long>(kRestartNoHand);
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
            case SYS_read: return true;
            default: return false;
        }
    }
};

}  // namespace callgate
