// Take-over and hand-back of one server process (DESIGN: "Takeover: the recipe that works").
//
//   before   client ══ original channel ══ server
//   after    client ══ original channel ══ agent ══ replacement ══ server
//
// All functions belong to the take-over thread.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/proc.h"
#include "takeover/tracee.h"
#include "wire.h"

namespace callgate {

// A thread that has been asked to stop (it may not have stopped yet), and the read that it was held in, if it was.
struct StoppedThread {
    std::unique_ptr<Tracee> tracee;
    std::optional<cg_hold> hold;
};

// What one read of a stream returned, and when: pieces that several threads have are put in order by that.
struct ReadPiece {
    uint64_t since_ns = 0;  // CLOCK_MONOTONIC
    std::string bytes;
};
std::string joined(std::vector<ReadPiece> pieces);

// What the watcher of the kernel's events does for a take-over.
struct TakeoverHelp {
    WhileWaiting while_waiting;
    // Between the two, who seems to have read the replacement is held as one who has read the original (CG_SWAPPING).
    std::function<void(const cg_channel_key& replacement, const cg_channel& mark)> swap_begins;
    std::function<void(const cg_channel_key& replacement)> swap_ends;
    // Threads of `pid` that were stopped after a read of this channel and wait for their turn: they are put back onto it.
    std::function<std::vector<ReadPiece>(pid_t pid, const cg_channel_key& original)> take_back_waiting;
    // A thread of ours got into a hold while it was being stopped, and was let go: what it had read. Once.
    std::function<std::optional<cg_event>(pid_t tid)> caught;
    // A read that nobody has decided on yet: its turn comes, but not within `wait`.
    std::function<void(const cg_event&, StoppedThread, std::chrono::nanoseconds wait)> look_at_later;
};

// Where the two ends of each direction are after a take-over.
struct TakenEnds {
    ChannelKind input_kind = ChannelKind::none, output_kind = ChannelKind::none;
    bool one_socket = false;                   // descriptors 0 and 1 are the same socket
    Fd from_client;                            // read: what the client writes
    Fd to_server;                              // write
    Fd from_server;                            // read
    Fd to_client;                              // write
    cg_channel_key input{}, output{};          // the originals
    cg_channel_key new_input{}, new_output{};  // what the server holds now
    std::string unread;                        // bytes that a held read had returned; the server will read again
};

struct TakeoverRequest {
    pid_t pid = 0;
    cg_channel_key input{};   // what the server reads
    cg_channel_key output{};  // what it writes
    // Everything has been made, and nothing of the process replaced yet: what is needed to go on from here,
    // or to undo it, should we be killed. `made`: its numbers of both ends of what it is to have, in order.
    // Where it has closed the first, all is replaced, and it makes its read again, whatever becomes of us, or
    // nothing is, where it has none of the replacements; where it has not, it has seen what it had read. May
    // be null: then what has been replaced ends with us, and it keeps no number of ours.
    std::function<void(const TakenEnds& ends, const std::vector<int>& made)> begins = nullptr;
};

// `thread` makes the calls, and is let go at the end; where it is still on its way to its stop, that is waited for.
// What it, or another thread that is woken, had read is taken back.
// ErrorKind::limit: a hold had run out, so the bytes have been seen.
// On an error it is still stopped: the caller says what becomes of it.
Result<TakenEnds> take_over(const TakeoverRequest& request, StoppedThread& thread, const TakeoverHelp& help);

// A TCP connection of a server's, taken out of its hands between two requests: the server sees that its client has ended,
// and what it had just read is the agent's.
struct TakenConnection {
    Fd client;  // blocking mode
    std::vector<ReadPiece> unread;
    size_t descriptors = 0;  // of the process that it was taken from
};
// Of `thread` and of errors the same holds as for take_over().
Result<TakenConnection> take_connection(pid_t pid, const cg_channel_key& channel, StoppedThread& thread,
                                        const TakeoverHelp& help);

// A thread read from the original although the session is taken over (it was inside the call during the swap): its
// bytes are taken back, and the call is made again on the replacement.
Result<ReadPiece> take_back_read(StoppedThread thread);

// The error of a refused stop, naming the tracer where the process has one.
Error explain_refusal(pid_t pid, const Error& error);

// It left the bytes where they are.
bool is_peek(const cg_hold& hold);
// Why nobody can judge what was read: of an event that says so (CG_EVENT_EXPIRED, CG_EVENT_UNSEEN).
std::string why_unjudged(const cg_event& event);
// The bytes that a read has returned; more than 16 MiB of them are refused (ErrorKind::refused).
Result<std::string> peek_read(const cg_hold& hold, size_t bytes_max = SIZE_MAX);

// Judged output of a server's that its client has not been given yet.
struct Unwritten {
    std::string bytes;
    size_t written = 0;  // of them
};
// Writes that, and then what waits at `from`, without waiting for more, or for the reader: ErrorKind::limit where that has no
// room for it; the same again does the rest. Needs no O_NONBLOCK.
Status copy_rest(Unwritten& first, int from, int to);

// How long a client that does not read what is on its way is waited for, all in all.
inline constexpr std::chrono::milliseconds kReaderPatience{2000};

// Puts the originals back wherever `pid` holds a replacement. All its threads are held meanwhile; what it has
// written and nobody has read yet is copied to the client first, so nothing overtakes it. Where we are killed in between,
// some of its descriptors are back, and it keeps no number of ours: the same again does the rest.
struct HandBack {
    cg_channel_key new_input{}, new_output{};
    int original_input = -1, original_output = -1;
    int replacement_output = -1;  // the agent's end, to be emptied
    // O_NONBLOCK is the file's, not the descriptor's: the originals get what the replacements have now, or keep theirs.
    enum class Mode { of_replacement, kept };
    Mode mode = Mode::of_replacement;
    // The agent's end of what the server reads, where an empty line says nothing to the server. A read that is under way in an
    // io_uring stays with the replacement, whatever becomes of the descriptor: an empty line ends it, and the next read is
    // of the original. (One of a file that the ring knows by a number of its own is not.)
    int replacement_input = -1;
    // Numbers that are the process's by a take-over that was not finished: closed, and given nothing.
    std::vector<int> made = {};
    // Copies what waits in the replacement, so that a kill loses nothing of it, and does not wait, as copy_rest() above.
    // Null: from `replacement_output` to `original_output`, through the memory of this process.
    std::function<Status()> copy_rest = nullptr;
    std::chrono::milliseconds patience = kReaderPatience;
};
// Copies the rest, for as long as `back.patience`. ErrorKind::limit: the client does not read all of it in that time.
Status copy_all_of_rest(const HandBack& back, const WhileWaiting& while_waiting);
// ErrorKind::limit: of copy_all_of_rest(); no descriptor was changed.
Status hand_back(pid_t pid, const HandBack& back, const WhileWaiting& while_waiting);
// `pid` has been taken over by itself, `ends`, and shares its original input with processes that were before, `holders`: it gets
// the very replacement that one of them has in place of its own, so that they share that as they shared the original, and
// nothing that waits in it is lost. Where we are killed in between, the same again does the rest. ErrorKind::gone: none of
// them has it any more.
Status share_replacement(pid_t pid, const TakenEnds& ends, const std::vector<pid_t>& holders, const cg_channel_key& new_input,
                         const cg_channel_key& new_output, const WhileWaiting& while_waiting);
// The rest of `made`, of a take-over that was all but finished.
Status close_made(pid_t pid, const std::vector<int>& made, const WhileWaiting& while_waiting);

}  // namespace callgate
