/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
 *
 * Numbers and arguments of system calls, which the kernel's types do not tell.
 */
#ifndef CALLGATE_SYSTEM_CALLS_BPF_H
#define CALLGATE_SYSTEM_CALLS_BPF_H

#if defined(__TARGET_ARCH_x86)
#define SYS_read 0
#define SYS_readv 19
#define SYS_recvfrom 45
#define SYS_recvmsg 47
#define SYS_listen 50
#define SYS_splice 275
#define SYS_tee 276
#define SYS_recvmmsg 299
#define SYS_preadv2 327
#define SYS_io_uring_enter 426
#define syscall_number(regs) ((__s64)(regs)->orig_ax)
#define argument_1(regs) ((regs)->di)
#define argument_2(regs) ((regs)->si)
#define argument_3(regs) ((regs)->dx)
#define argument_4(regs) ((regs)->r10)
#elif defined(__TARGET_ARCH_arm64)
#define SYS_read 63
#define SYS_readv 65
#define SYS_recvfrom 207
#define SYS_recvmsg 212
#define SYS_listen 201
#define SYS_splice 76
#define SYS_tee 77
#define SYS_recvmmsg 243
#define SYS_preadv2 286
#define SYS_io_uring_enter 426
#define syscall_number(regs) ((__s64)(regs)->syscallno)
#define argument_1(regs) ((regs)->orig_x0)
#define argument_2(regs) ((regs)->regs[1])
#define argument_3(regs) ((regs)->regs[2])
#define argument_4(regs) ((regs)->regs[3])
#endif

#endif
