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

struct SwappedChannel {
    Fd original;    // the server's old end, as the server had it
    Fd agent_end;   // the other end of what the server has now
    cg_channel_key replacement{};
    std::array<int, 2> numbers{};  // the server's, of both ends; it still has them
};

// `descriptors`: all those of one channel (at least one); `registrations`: of those descriptors. `made` is called before the
// first of them is replaced.
Result<SwappedChannel> swap_in_replacement(Tracee& tracee, const Fd& pidfd,
                                           const std::vector<ProcessDescriptor>& descriptors,
                                           const std::vector<EpollRegistration>& registrations, ChannelUse use,
                                           const std::function<void(const SwappedChannel&)>& made);
// The process closes what it has made for these: each agent_end is the agent's alone then, and in blocking mode. One
// for several, since each call in the process takes two switches of context.
Status finish_swaps(Tracee& tracee, std::span<const SwappedChannel* const> swapped);

// The reverse: passes `original` into the process (SCM_RIGHTS over a socket pair that the process makes) and puts it
// on every descriptor that holds the replacement.
Status swap_back(Tracee& tracee, const Fd& pidfd, const std::vector<ProcessDescriptor>& descriptors,
                 const std::vector<EpollRegistration>& registrations, int original);

}  // namespace callgate
