// Tracee: one thread of another process, stopped without a signal (PTRACE_SEIZE + PTRACE_INTERRUPT, ptrace(2)), made
// to execute system calls, and let go again as if nothing had happened.
//
// Invariant: from stop() to the destructor the thread executes only what call() asks for; the destructor restores
// registers, signal mask and scratch memory and detaches, whatever happened in between.
// All ptrace calls of a process must come from one thread: use from the take-over thread only.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>

#include "base/result.h"
#include "takeover/registers.h"

namespace callgate {

struct StopOptions {
    // Called again and again between PTRACE_INTERRUPT and the stop: a thread that is held in the kernel must be let
    // go before it can stop. May be empty.
    std::function<void()> while_waiting;
    bool suspend_seccomp = false;           // PTRACE_O_SUSPEND_SECCOMP: needs CAP_SYS_ADMIN
    std::chrono::milliseconds timeout{200};
};

class Tracee {
  public:
    static Result<std::unique_ptr<Tracee>> stop(pid_t tid, const StopOptions& options);
    ~Tracee();
    Tracee(const Tracee&) = delete;
    Tracee& operator=(const Tracee&) = delete;

    pid_t tid() const { return tid_; }
    // What the thread had when it stopped, and what it will have when it goes on; may be changed before that.
    Registers& registers() { return saved_; }

    // The address of a `syscall` instruction in the tracee (its vDSO), needed once before call().
    Status prepare_calls();
    // Executes one system call in the tracee; the value it returned, or an error for a negative one.
    Result<long> call(const char* name, long number, std::initializer_list<uint64_t> arguments);

    // Memory of the tracee.
    Status read(uint64_t address, void* into, size_t bytes) const;
    Status write(uint64_t address, const void* from, size_t bytes) const;
    // At least kScratchBytes below the red zone; its old content is put back at the end.
    static constexpr size_t kScratchBytes = 256;
    uint64_t scratch() const { return scratch_; }

  private:
    explicit Tracee(pid_t tid) : tid_(tid) {}
    Result<int> wait_for_stop(std::chrono::steady_clock::time_point deadline,
                              const std::function<void()>& while_waiting = nullptr);
    Status step();

    pid_t tid_;
    bool seized_ = false;
    bool stopped_ = false;
    bool gone_ = false;
    bool touched_ = false;  // registers were changed
    Registers saved_;
    Registers at_stop_;
    uint64_t instruction_ = 0;
    uint64_t scratch_ = 0;
    uint8_t scratch_content_[kScratchBytes]{};
    bool scratch_saved_ = false;
    uint64_t signal_mask_ = 0;
    bool mask_saved_ = false;
};

}  // namespace callgate
