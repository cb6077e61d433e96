// Take-over and hand-back of one server process (DESIGN: "Takeover: the recipe that works").
//
//   before   client ══ original channel ══ server
//   after    client ══ original channel ══ agent ══ replacement ══ server
//
// All functions belong to the take-over thread.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/proc.h"
#include "wire.h"

namespace callgate {

// The threads that wait in the kernel after a read (bpf/channel.bpf.c).
struct HoldAccess {
    std::function<std::optional<cg_hold>(pid_t tid)> find;
    std::function<void(pid_t tid)> release;
};

struct TakeoverRequest {
    pid_t pid = 0;
    pid_t thread = 0;         // the one that is stopped and makes the calls: the held one, or any
    cg_channel_key input{};   // what the server reads
    cg_channel_key output{};  // what it writes
};

// Where the two ends of each direction are after a take-over.
struct TakenEnds {
    ChannelKind input_kind = ChannelKind::none, output_kind = ChannelKind::none;
    bool one_socket = false;  // descriptors 0 and 1 are the same socket
    Fd from_client;  // read: what the client writes
    Fd to_server;    // write
    Fd from_server;  // read
    Fd to_client;    // write
    cg_channel_key input{}, output{};          // the originals
    cg_channel_key new_input{}, new_output{};  // what the server holds now
    std::string unread;  // bytes that a held read had returned; the server will read again
};

// A thread that is held, or gets into a hold while it is being stopped, is let go into its stop, and what it had read
// is taken back. ErrorKind::limit: the hold had run out, so the bytes have been seen.
Result<TakenEnds> take_over(const TakeoverRequest& request, const HoldAccess& holds);

// A thread read from the original although the session is taken over (it was inside the call during the swap): its
// bytes are taken back, and the call is made again on the replacement.
Result<std::string> take_back_read(const cg_hold& hold, const HoldAccess& holds);

// The bytes that a held read has returned, without stopping the thread.
Result<std::string> peek_read(const cg_hold& hold, size_t bytes_max);

// Puts the originals back wherever `pid` holds a replacement. All its threads are stopped meanwhile; what it has
// written and nobody has read yet is copied to the client first, so nothing overtakes it.
struct HandBack {
    cg_channel_key new_input{}, new_output{};
    int original_input = -1, original_output = -1;
    int replacement_output = -1;  // the agent's end, to be emptied
};
// ErrorKind::limit: the client does not read, so the rest could not be copied; nothing was changed.
Status hand_back(pid_t pid, const HandBack& back);

}  // namespace callgate
