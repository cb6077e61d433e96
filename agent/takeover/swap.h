// Swap: replaces the channel behind every descriptor of a stopped process, and moves its epoll registrations along.
//
// The process itself makes the replacement, so its owner, its permissions and its namespace are right; numbers,
// FD_CLOEXEC, O_NONBLOCK, type and epoll events and data stay what they were (invariant I4).
#pragma once
#include <array>
#include <functional>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/proc.h"
#include "takeover/tracee.h"

namespace callgate {

enum class ChannelUse { server_reads, server_writes, both };

struct Replacement {
    Fd original;   // the server's old end, as the server had it
    Fd agent_end;  // the other end of what the server is to have
    cg_channel_key channel{};
    int server_end = -1;           // the server's number of what it is to have
    std::array<int, 2> numbers{};  // the server's, of both ends
};

// The process makes it, and has both ends; their numbers are at the `nth` place for two at its scratch(), for
// Tracee::close_if_killed(). `descriptors`: all those of one channel, at least one.
Result<Replacement> make_replacement(Tracee& tracee, const Fd& pidfd, const std::vector<ProcessDescriptor>& descriptors,
                                     ChannelUse use, size_t nth);
// On each of these descriptors; `registrations`: of those. Closes nothing else.
Status put_in_place(Tracee& tracee, const Replacement& replacement, const std::vector<ProcessDescriptor>& descriptors,
                    const std::vector<EpollRegistration>& registrations);
// `numbers` is not empty. The smallest is closed first, and by one call with all others where no other lies
// between them: each call in the process takes four switches of context.
Status close_all(Tracee& tracee, std::vector<int> numbers);

// The reverse: passes `original` into the process (SCM_RIGHTS over a socket pair that the process makes) and puts it
// on every descriptor that holds the replacement.
Status swap_back(Tracee& tracee, const Fd& pidfd, const std::vector<ProcessDescriptor>& descriptors,
                 const std::vector<EpollRegistration>& registrations, int original);

}  // namespace callgate
