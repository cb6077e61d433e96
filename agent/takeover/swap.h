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

// One channel that is to be replaced: all descriptors of it, at least one.
struct Replaced {
    std::vector<ProcessDescriptor> descriptors;
    ChannelUse use;
};

// The process makes them, and has both ends of each; their numbers are at its scratch(), in order, for
// Tracee::close_if_killed(). At most two. On an error it has none.
Result<std::vector<Replacement>> make_replacements(Tracee& tracee, const Fd& pidfd, const std::vector<Replaced>& channels);
// Puts `source`, a descriptor of the process, onto each of `descriptors`.
void add_replacing(std::vector<KernelCall>& calls, int source, const std::vector<ProcessDescriptor>& descriptors,
                   const std::vector<EpollRegistration>& registrations);
// `numbers` is not empty. The smallest is closed first.
void add_closing(std::vector<KernelCall>& calls, std::vector<int> numbers);
Status close_all(Tracee& tracee, std::vector<int> numbers);

// The reverse: passes `original` into the process (SCM_RIGHTS over a socket pair that the process makes) and puts it
// on each of `descriptors`; what it makes for that it closes, itself where we are killed. After an error it is on all those
// that it can be put on.
Status swap_back(Tracee& tracee, const Fd& pidfd, const std::vector<ProcessDescriptor>& descriptors,
                 const std::vector<EpollRegistration>& registrations, int original);

}  // namespace callgate
