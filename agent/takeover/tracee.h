// Tracee: one thread of another process, stopped without a signal (PTRACE_SEIZE + PTRACE_INTERRUPT, ptrace(2)), made
// to execute system calls, and let go again as if nothing had happened.
//
// Invariant: from stop() to the destructor the thread executes only what call() asks for; the destructor restores
// registers, signal mask and scratch memory and detaches, whatever happened in between. A thread that cannot be let go at
// once is left behind and let go later: one that was killed in its stop stays a zombie of ours, unseen by its parent, until
// all threads of its process have ended; one that sleeps where nothing wakes it stops when it wakes.
// Belongs to the thread that made it: the kernel takes ptrace calls from the tracer only.
#pragma once
#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/proc.h"
#include "takeover/registers.h"

namespace callgate {

// What waiting for another thread needs: while it lasts, other held threads must go on being let go, or one of them may
// occupy the very processor that is waited for. Called before each look; where looking alone has not helped it sleeps for
// `pause`, or until another thread waits to be let go. `in_vain`: pausing has not helped so far either.
using WhileWaiting = std::function<void(std::chrono::nanoseconds pause, bool in_vain)>;

// One system call that a tracee is to make.
struct KernelCall {
    const char* name;
    long number;
    std::array<uint64_t, 4> arguments{};
    // Where it reads something, `arguments[data_at]` becomes the address of this.
    std::array<uint64_t, 2> data{};
    int data_at = -1;
};

class Tracee {
  public:
    // Asks for the stop and returns at once. A thread that another process traces is refused (EPERM).
    static Result<std::unique_ptr<Tracee>> interrupt(pid_t tid, const WhileWaiting& while_waiting);
    // Waits until it has stopped; needed once, before everything below.
    Status await_stop(std::chrono::milliseconds timeout = kStopTimeout);
    bool is_stopped() const { return stopped_; }
    // Both.
    static Result<std::unique_ptr<Tracee>> stop(pid_t tid, const WhileWaiting& while_waiting);
    // True while some Tracee of ours holds this thread.
    static bool is_ours(pid_t tid);
    // Looks after the threads that the calling thread has left behind; true while there are any. A thread that has destroyed
    // a Tracee asks again and again until there are none, or ends: then the kernel lets go of them.
    static bool let_go_of_those_left_behind();
    ~Tracee();
    Tracee(const Tracee&) = delete;
    Tracee& operator=(const Tracee&) = delete;

    pid_t tid() const { return tid_; }
    // What the thread had when it stopped, and what it will have when it goes on; may be changed before that.
    Registers& registers() { return saved_; }

    // Needed once before call(): puts kCallCode (registers.h) into the process, and what the thread goes back
    // to onto its stack. From then on the thread survives our end at any instant: it makes the calls that are
    // set, if any are, and goes on. `status`: of its process. Its seccomp filter does not see our calls
    // (PTRACE_O_SUSPEND_SECCOMP, needs CAP_SYS_ADMIN).
    Status prepare_calls(const ProcessStatus& status);
    // Has the tracee execute system calls, in order, up to the first that fails; the value that the last one
    // returned, or an error for a negative one. From the moment that they are set, the thread will make all of them
    // and go on with registers() as they are now, whatever becomes of us; if one fails, it goes on as it was when it was
    // stopped. Where there are more than fit in (calls_at_once()), this holds from the last part of them on: before,
    // it goes on as it was.
    Result<long> call(const std::vector<KernelCall>& calls);
    static size_t calls_at_once();

    // From the next call() on, until this is said again: should we be killed, the thread closes the first `numbers` of those
    // that are `place` bytes behind scratch(), at most kClosesMax. Those at scratch() are -1 at first.
    void close_if_killed(size_t numbers, size_t place = 0) {
        closes_ = numbers;
        closes_place_ = place;
    }
    static constexpr size_t kClosesMax = 4;

    // Memory of the tracee.
    Status read(uint64_t address, void* into, size_t bytes) const;
    Status write(uint64_t address, const void* from, size_t bytes) const;
    // kScratchBytes (registers.h) below the red zone and the frame; its old content is put back at the end.
    uint64_t scratch() const { return scratch_; }

    // Longer than a program that is being read from a slow disk needs to get to its first instruction.
    static constexpr std::chrono::milliseconds kStopTimeout{3000};

  private:
    Tracee(pid_t tid, const WhileWaiting& while_waiting) : tid_(tid), while_waiting_(while_waiting) {}
    Tracee(Tracee&&) = default;
    class LeftBehind;
    static LeftBehind& left_behind();
    void forget();
    Result<int> wait_for_stop(std::chrono::steady_clock::time_point deadline);
    Status put_code();
    Status leave_code();
    Status write_code(uint64_t address, const void* from, size_t bytes);
    Status set_registers(uint64_t first, uint64_t behind, const Registers& after);
    Result<Registers> make_calls();
    Result<Registers> get_registers() const;
    bool detach(std::chrono::milliseconds patience);

    pid_t tid_;
    WhileWaiting while_waiting_;
    bool seized_ = false;
    bool stopped_ = false;
    bool gone_ = false;
    bool touched_ = false;  // registers were changed
    Registers saved_;
    Registers at_stop_;
    Registers settled_;                            // those, from prepare_calls() on, for a thread that goes on by itself
    uint64_t code_ = 0, frame_ = 0, scratch_ = 0;  // addresses in the tracee
    Fd memory_;                                    // /proc/TID/mem, where that can be had
    std::vector<uint8_t> borrowed_;                // what was there from scratch_ on, up to the end of the frame
    CallFrame before_{};
    uint64_t signal_mask_ = 0;
    bool mask_changed_ = false;
    int stop_signal_ = 0;        // what kCallCode sends
    std::vector<int> not_ours_;  // signals that came in between: they are sent again at the end
    size_t closes_ = 0, closes_place_ = 0;
};

}  // namespace callgate
