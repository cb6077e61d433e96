// Which channels does a running process talk to its client through?
//
// Normally descriptors 0 and 1. A server may have moved them (dup, then /dev/null on 0 and 1, so that nothing prints
// into the protocol): then they are the pipes or sockets whose other end its nearest ancestor holds, standard error
// left out.
#pragma once
#include <optional>

#include "kernel/proc.h"

namespace callgate {

struct StdioChannels {
    ChannelKind kind = ChannelKind::none;  // of the input
    cg_channel_key input{}, output{};      // the output is zero where it is neither a pipe nor an AF_UNIX stream socket
    bool has_output() const { return output.inode != 0; }
};

// 0 and 1, where 0 is a pipe or an AF_UNIX stream socket.
std::optional<StdioChannels> standard_channels(pid_t pid);
// 0 is a socket that nothing can be put before: of packets (SOCK_SEQPACKET, SOCK_DGRAM), or one that was connected from here
// over TCP.
bool input_is_out_of_reach(pid_t pid);
// Anywhere else: costs a look at every descriptor of the process and of its ancestors.
std::optional<StdioChannels> moved_channels(pid_t pid);

}  // namespace callgate
