#include "takeover/takeover.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <utility>

#include "base/fault_point.h"
#include "takeover/swap.h"
#include "takeover/tracee.h"

namespace callgate {
namespace {

using namespace std::chrono_literals;
using Descriptors = std::vector<ProcessDescriptor>;
using Registrations = std::vector<EpollRegistration>;

// What one read of a server's may have returned before it is taken over. More is not looked at.
constexpr size_t kReadBytesMax = size_t{16} << 20;

Descriptors of_channel(const ProcessDescriptors& all, const cg_channel_key& key, int access) {
    Descriptors found;
    for (const ProcessDescriptor& each : all.channels)
        if (each.channel == key && (each.kind != ChannelKind::pipe || (each.status_flags & O_ACCMODE) == access))
            found.push_back(each);
    return found;
}

// An array of the process, as long as the kernel lets one be in such a call.
template <typename Each>
Result<std::vector<Each>> read_array(const cg_hold& hold, const void* address, size_t count, const char* name) {
    if (count > IOV_MAX) return Error::refused(name, "more than IOV_MAX of them");
    std::vector<Each> found(count);
    iovec local{found.data(), count * sizeof(Each)}, remote{const_cast<void*>(address), count * sizeof(Each)};
    if (count && process_vm_readv(hold.tid, &local, 1, &remote, 1, 0) != static_cast<ssize_t>(local.iov_len))
        return Error::system("process_vm_readv", name, errno);
    return found;
}

// Where the bytes of a finished read are: pieces of the process's memory, none longer than what was read into it. Of
// recvmmsg(2) only that memory says how much that is, and another thread may have written there since.
Result<std::vector<iovec>> pieces_of(const cg_hold& hold) {
    void* const buffer = reinterpret_cast<void*>(hold.buffer);
    std::vector<iovec> pieces;
    auto add = [&](const std::vector<iovec>& vectors, size_t bytes) {
        for (const iovec& each : vectors) {
            pieces.push_back({each.iov_base, std::min(each.iov_len, bytes)});
            bytes -= pieces.back().iov_len;
        }
    };
    switch (hold.syscall) {
        case SYS_readv:
        case SYS_preadv2: add(TRY(read_array<iovec>(hold, buffer, hold.length, "iovec")), hold.result); break;
        case SYS_recvmsg: {
            auto header = TRY(read_array<msghdr>(hold, buffer, 1, "msghdr"));
            add(TRY(read_array<iovec>(hold, header[0].msg_iov, header[0].msg_iovlen, "iovec")), hold.result);
            break;
        }
        case SYS_recvmmsg:
            for (const mmsghdr& each : TRY(read_array<mmsghdr>(hold, buffer, hold.result, "mmsghdr")))
                add(TRY(read_array<iovec>(hold, each.msg_hdr.msg_iov, each.msg_hdr.msg_iovlen, "iovec")), each.msg_len);
            break;
        default: add({{buffer, hold.length}}, hold.result);
    }
    return pieces;
}

// System calls in which a thread waits for the old file itself, so that it must be made to look again. One that runs may
// be in such a call, too, with what it has just read.
bool may_be_on(const BlockedSyscall& blocked, const Descriptors& swapped) {
    auto concerns = [&](uint64_t fd) {
        return std::any_of(swapped.begin(), swapped.end(), [&](auto& each) { return uint64_t(each.number) == fd; });
    };
    switch (blocked.number) {
        case -1: return true;
        case SYS_read:
        case SYS_readv:
        case SYS_preadv2:
        case SYS_recvfrom:
        case SYS_recvmsg:
        case SYS_recvmmsg:
        case SYS_write:
        case SYS_writev:
        case SYS_pwritev2:
        case SYS_sendto:
        case SYS_sendmsg:
        case SYS_splice:
        case SYS_tee: return concerns(blocked.arguments[0]);
        case SYS_poll:
        case SYS_ppoll:
        case SYS_select:
        case SYS_pselect6: return true;
        default: return false;
    }
}

// What a take-over goes by.
struct Surroundings {
    Fd pidfd;
    ProcessDescriptors descriptors;
    ProcessStatus status;
};

Result<Surroundings> look_around(pid_t pid, const cg_channel_key& input, const cg_channel_key& output) {
    return Surroundings{TRY(open_pidfd(pid)), TRY(find_descriptors(pid, input, output)), TRY(ProcessStatus::read(pid))};
}

Result<Surroundings> stop_and_look_around(const TakeoverRequest& request, StoppedThread& thread, const TakeoverHelp& help) {
    Tracee& tracee = *thread.tracee;
    if (!tracee.is_stopped()) {
        TRY_VOID(tracee.await_stop());
        if (auto event = help.caught(tracee.tid()); event && event->channel == request.input) thread.hold = event->hold;
    }
    return look_around(request.pid, request.input, request.output);
}

}  // namespace

std::string joined(std::vector<ReadPiece> pieces) {
    std::stable_sort(pieces.begin(), pieces.end(),
                     [](const ReadPiece& a, const ReadPiece& b) { return a.since_ns < b.since_ns; });
    std::string all;
    for (const ReadPiece& piece : pieces) all += piece.bytes;
    return all;
}

bool is_peek(const cg_hold& hold) {
    const bool has_flags = hold.syscall == SYS_recvfrom || hold.syscall == SYS_recvmsg || hold.syscall == SYS_recvmmsg;
    return has_flags && (hold.flags & MSG_PEEK);
}

std::string why_unjudged(const cg_event& event) {
    if (event.kind != CG_EVENT_UNSEEN) return "the hold ran out";
    switch (event.hold.syscall) {
        case SYS_splice: return "its input is read with splice(2)";
        case SYS_tee: return "its input is read with tee(2)";
        default: return "its input is read through io_uring";
    }
}

Error explain_refusal(pid_t pid, const Error& error) {
    long tracer = error.kind == ErrorKind::system && error.code == EPERM ? status_value(pid, "TracerPid") : 0;
    if (!tracer) return error;
    return Error::refused("process " + std::to_string(pid), "is traced by process " + std::to_string(tracer));
}

Result<std::string> peek_read(const cg_hold& hold, size_t bytes_max) {
    std::vector<iovec> remote = TRY(pieces_of(hold));
    size_t wanted = 0;
    for (iovec& each : remote) {
        each.iov_len = std::min(each.iov_len, bytes_max - wanted);
        wanted += each.iov_len;
    }
    if (wanted > kReadBytesMax) return Error::refused("read", "returned more than is looked at");
    std::erase_if(remote, [](const iovec& each) { return each.iov_len == 0; });
    std::string bytes;
    bytes.reserve(wanted);
    for (size_t first = 0; first < remote.size(); first += IOV_MAX) {
        const size_t count = std::min<size_t>(remote.size() - first, IOV_MAX), before = bytes.size();
        size_t length = 0;
        for (size_t i = first; i < first + count; ++i) length += remote[i].iov_len;
        bytes.resize(before + length);
        iovec local{bytes.data() + before, length};
        ssize_t got = process_vm_readv(hold.tid, &local, 1, &remote[first], count, 0);
        if (got != static_cast<ssize_t>(length))
            return Error::system("process_vm_readv", "of the bytes read", got < 0 ? errno : EFAULT);
    }
    return bytes;
}

namespace {

// What the thread has got by its read, and will get again by another one.
Result<ReadPiece> piece_of(const cg_hold& hold) {
    ReadPiece piece{hold.since_ns, {}};
    if (!is_peek(hold)) piece.bytes = TRY(peek_read(hold));
    return piece;
}

// Takes the bytes of a caught read back and puts the thread onto its call again.
Result<ReadPiece> undo_read(Tracee& tracee, const cg_hold& hold) {
    ReadPiece piece = TRY(piece_of(hold));
    tracee.registers().call_again();
    return piece;
}

// Afterwards the thread makes the read that it was in again, if it was in one; not where a call fails.
Status call_and_read_again(Tracee& tracee, const std::vector<KernelCall>& calls, bool was_in_read) {
    const Registers as_it_was = tracee.registers();
    if (was_in_read) tracee.registers().call_again();
    auto done = tracee.call(calls);
    if (done) return {};
    tracee.registers() = as_it_was;
    return done.error();
}

Status check_hold(const std::optional<cg_hold>& hold) {
    if (hold && hold->state != CG_HOLDING) return Error{ErrorKind::limit, 0, "hold", "ran out before the thread was stopped"};
    return {};
}

// Threads that wait for the old files look again. When this is over, no call that was begun on one of them goes on: what such
// a call has read is returned.
std::vector<ReadPiece> wake_waiters(pid_t pid, pid_t except, const Descriptors& swapped, const TakeoverHelp& help) {
    std::vector<ReadPiece> pieces;
    for (pid_t tid : threads_of(pid)) {
        if (tid == except || !may_be_on(blocked_syscall(pid, tid), swapped)) continue;
        auto waiter = Tracee::stop(tid, help.while_waiting);
        if (!waiter) continue;
        auto event = help.caught ? help.caught(tid) : std::nullopt;
        if (event && !(event->channel == swapped.front().channel)) {
            help.look_at_later(*event, {std::move(*waiter), event->hold}, {});  // it was caught on another channel
        } else if (event && check_hold(event->hold)) {
            auto read = undo_read(**waiter, event->hold);
            if (read) {
                pieces.push_back(std::move(*read));
            } else {
                help.look_at_later(*event, {std::move(*waiter), event->hold}, {});  // where it is said
            }
        }
    }
    if (help.take_back_waiting)
        for (ReadPiece& piece : help.take_back_waiting(pid, swapped.front().channel)) pieces.push_back(std::move(piece));
    return pieces;
}

// Watches the replacement of an input from before its descriptors are replaced until nobody reads the original any more.
class SwapOfInput {
  public:
    SwapOfInput(const cg_channel_key& original, const TakeoverHelp& help) : original_(original), help_(help) {}
    ~SwapOfInput() {
        if (replacement_) help_.swap_ends(*replacement_);
    }
    SwapOfInput(const SwapOfInput&) = delete;
    SwapOfInput& operator=(const SwapOfInput&) = delete;
    void begin(const cg_channel_key& replacement, const Fd& original) {
        if (!help_.swap_begins) return;
        replacement_ = replacement;
        help_.swap_begins(*replacement_, {CG_SWAPPING, kind_of(original.get()), 0, 0, original_});
    }

  private:
    static uint32_t kind_of(int fd) {
        int family = 0;
        socklen_t length = sizeof(family);
        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length)) return CG_KIND_PIPE;
        return family == AF_UNIX ? CG_KIND_UNIX : CG_KIND_TCP;
    }
    cg_channel_key original_;
    const TakeoverHelp& help_;
    std::optional<cg_channel_key> replacement_;
};

// O_NONBLOCK of the agent's end came with that of the server's.
TakenEnds ends_of(const TakeoverRequest& request, Replacement& input, Replacement& output) {
    TakenEnds taken;
    taken.input = request.input;
    taken.output = request.output;
    taken.one_socket = request.input == request.output;
    taken.from_client = std::move(input.original);
    taken.to_server = std::move(input.agent_end);
    taken.new_input = input.channel;
    if (taken.one_socket) {
        taken.to_client = Fd::adopt(fcntl(taken.from_client.get(), F_DUPFD_CLOEXEC, 0));
        taken.from_server = Fd::adopt(fcntl(taken.to_server.get(), F_DUPFD_CLOEXEC, 0));
        taken.new_output = taken.new_input;
    } else {
        taken.to_client = std::move(output.original);
        taken.from_server = std::move(output.agent_end);
        taken.new_output = output.channel;
    }
    return taken;
}

// It has its number still, until somebody has heard of its end.
bool has_ended(pid_t tid) {
    auto text = read_small_file(proc_path(tid, "stat"));
    const size_t name_end = text ? text->rfind(')') : std::string::npos;
    if (name_end == std::string::npos) return true;
    const std::string_view state = std::string_view(*text).substr(name_end + 1, 2);
    return state == " Z" || state == " X";
}

using Tracees = std::vector<std::unique_ptr<Tracee>>;

// Asks every thread of a process to stop and waits until it has, that thread included which another one begins meanwhile. One
// that sleeps where nothing wakes it does not stop in time; it executes nothing of its own either until it is let go.
Result<Tracees> hold_all(pid_t pid, const WhileWaiting& while_waiting) {
    const auto name = [pid] { return "process " + std::to_string(pid); };
    const auto until = std::chrono::steady_clock::now() + Tracee::kStopTimeout;
    Tracees held;
    std::unordered_set<pid_t> ended;
    Status first_stopped = Error{ErrorKind::gone, 0, name(), "has ended"};
    // What is new may have begun another one before it was asked, or before it ended.
    for (bool news = true; std::exchange(news, false);) {
        const bool late = std::chrono::steady_clock::now() > until;
        const size_t before = held.size();
        for (const pid_t tid : threads_of(pid)) {
            if (std::any_of(held.begin(), held.end(), [&](const auto& each) { return each->tid() == tid; })) continue;
            auto tracee = Tracee::interrupt(tid, while_waiting);
            if (tracee) {
                held.push_back(std::move(*tracee));
                news = true;
            } else if (tid != pid && Tracee::is_ours(tid)) {
                continue;  // another thread of ours has left it behind in such a sleep
            } else if (!has_ended(tid)) {
                return explain_refusal(tid, tracee.error());
            } else if (tid == pid) {
                if (threads_of(pid).size() > 1) return Error::refused(name(), "has ended its first thread only");
                return first_stopped.error();
            } else {
                news |= ended.insert(tid).second;
            }
        }
        for (size_t i = before; i < held.size(); ++i) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
            Status stopped = held[i]->await_stop(std::max<std::chrono::milliseconds>(left, 1ms));
            if (!i) first_stopped = std::move(stopped);
        }
        if (news && late) return Error::refused(name(), "begins threads faster than they can be stopped");
    }
    if (std::any_of(held.begin(), held.end(), [](const auto& each) { return each->is_stopped(); })) return held;
    return first_stopped.error();
}

}  // namespace

Result<ReadPiece> take_back_read(StoppedThread thread) {
    TRY_VOID(check_hold(thread.hold));
    if (!thread.hold) return ReadPiece();
    return undo_read(*thread.tracee, *thread.hold);
}

Result<TakenEnds> take_over(const TakeoverRequest& request, StoppedThread& thread, const TakeoverHelp& help) {
    auto [pidfd, all, status] = TRY(stop_and_look_around(request, thread, help));
    TRY_VOID(check_hold(thread.hold));
    Descriptors inputs = of_channel(all, request.input, O_RDONLY);
    Descriptors outputs = of_channel(all, request.output, O_WRONLY);
    if (inputs.empty()) return Error::refused("process " + std::to_string(request.pid), "has closed its input");
    if (outputs.empty()) return Error::refused("process " + std::to_string(request.pid), "has closed its output");

    std::vector<ReadPiece> unread;
    if (thread.hold) unread.push_back(TRY(piece_of(*thread.hold)));

    Tracee& tracee = *thread.tracee;
    TRY_VOID(tracee.prepare_calls(status));
    const bool one_socket = request.input == request.output;
    std::vector<Replaced> channels{{inputs, one_socket ? ChannelUse::both : ChannelUse::server_reads}};
    if (!one_socket) channels.push_back({outputs, ChannelUse::server_writes});
    std::vector<Replacement> replacements = TRY(make_replacements(tracee, pidfd, channels));
    Replacement& input = replacements.front();
    Replacement& output = replacements.back();
    std::vector<int> made;
    for (const Replacement& each : replacements) made.insert(made.end(), each.numbers.begin(), each.numbers.end());
    std::sort(made.begin(), made.end());
    TakenEnds taken = ends_of(request, input, output);
    taken.input_kind = inputs.front().kind;
    taken.output_kind = outputs.front().kind;
    if (!unread.empty()) taken.unread = unread.front().bytes;
    fault_point("replacements made");
    if (request.begins) request.begins(taken, made);
    tracee.close_if_killed(0);
    fault_point("take-over kept");
    SwapOfInput swap(request.input, help);
    swap.begin(taken.new_input, taken.from_client);
    // From here on the server reads the replacement, its bytes go through the gate, and it reads again what it has read.
    std::vector<KernelCall> calls;
    add_replacing(calls, input.server_end, inputs, all.registrations);
    if (!one_socket) add_replacing(calls, output.server_end, outputs, all.registrations);
    add_closing(calls, made);
    if (Status replaced = call_and_read_again(tracee, calls, thread.hold.has_value()); !replaced) {
        (void)swap_back(tracee, pidfd, inputs, all.registrations, taken.from_client.get());
        if (!one_socket) (void)swap_back(tracee, pidfd, outputs, all.registrations, taken.to_client.get());
        (void)close_all(tracee, made);
        return replaced.error();
    }
    fault_point("ends closed");
    set_blocking(taken.to_server.get());
    set_blocking(taken.from_server.get());
    pid_t stopped = tracee.tid();
    thread.tracee.reset();

    Descriptors swapped = inputs;
    swapped.insert(swapped.end(), outputs.begin(), outputs.end());
    for (ReadPiece& piece : wake_waiters(request.pid, stopped, swapped, help)) unread.push_back(std::move(piece));
    taken.unread = joined(std::move(unread));
    return taken;
}

Result<TakenConnection> take_connection(pid_t pid, const cg_channel_key& channel, StoppedThread& thread,
                                        const TakeoverHelp& help) {
    TRY_VOID(check_hold(thread.hold));
    auto [pidfd, held, status] = TRY(look_around(pid, channel, channel));
    if (held.channels.empty()) return Error::refused("process " + std::to_string(pid), "has closed the connection");
    std::vector<ReadPiece> unread;
    if (thread.hold) unread.push_back(TRY(piece_of(*thread.hold)));
    Tracee& tracee = *thread.tracee;
    TRY_VOID(tracee.prepare_calls(status));
    Replacement replacement = std::move(TRY(make_replacements(tracee, pidfd, {{held.channels, ChannelUse::both}})).front());
    tracee.close_if_killed(0);
    fault_point("connection to be replaced");
    SwapOfInput swap(channel, help);
    swap.begin(replacement.channel, replacement.original);
    std::vector<KernelCall> calls;
    add_replacing(calls, replacement.server_end, held.channels, held.registrations);
    add_closing(calls, {replacement.numbers[0], replacement.numbers[1]});
    TRY_VOID(call_and_read_again(tracee, calls, thread.hold.has_value()));
    fault_point("connection taken");
    TakenConnection taken;
    taken.client = std::move(replacement.original);
    taken.unread = std::move(unread);
    replacement.agent_end.reset();  // the end that the server reads now
    pid_t stopped = tracee.tid();
    thread.tracee.reset();
    for (ReadPiece& piece : wake_waiters(pid, stopped, held.channels, help)) taken.unread.push_back(std::move(piece));
    taken.descriptors = held.channels.size();
    return taken;
}

Status copy_rest(Unwritten& first, int from, int to) {
    for (;;) {
        int waiting = 0;
        (void)ioctl(from, FIONREAD, &waiting);
        const size_t left = first.bytes.size() - first.written;
        if (!left && waiting <= 0) return {};
        pollfd writable{to, POLLOUT, 0};
        if (poll(&writable, 1, 0) != 1 || !(writable.revents & POLLOUT))
            return Error{ErrorKind::limit, 0, "hand-back",
                         "the client does not read, " + std::to_string(left + std::max(waiting, 0)) +
                             " bytes of the server's output have not reached it"};
        // POLLOUT promises PIPE_BUF bytes without waiting
        if (!left) {
            first = {std::string(PIPE_BUF, '\0')};
            first.bytes.resize(std::max<ssize_t>(::read(from, first.bytes.data(), first.bytes.size()), 0));
            if (first.bytes.empty()) return {};
        }
        const std::string_view next = std::string_view(first.bytes).substr(first.written, PIPE_BUF);
        const ssize_t put = ::write(to, next.data(), next.size());
        if (put < 0 && errno == EAGAIN) continue;  // others write to it too
        if (put < 0) return Error::system("write", "rest of the server's output", errno);
        first.written += put;
    }
}

Status copy_all_of_rest(const HandBack& back, const WhileWaiting& while_waiting) {
    constexpr auto kPause = 1ms;
    const auto until = std::chrono::steady_clock::now() + back.patience;
    for (Unwritten none;;) {
        Status copied = back.copy_rest ? back.copy_rest() : copy_rest(none, back.replacement_output, back.original_output);
        if (copied || copied.error().kind != ErrorKind::limit || std::chrono::steady_clock::now() >= until) return copied;
        if (while_waiting) {
            while_waiting(kPause, false);
        } else {
            std::this_thread::sleep_for(kPause);
        }
    }
}

Status hand_back(pid_t pid, const HandBack& back, const WhileWaiting& while_waiting) {
    const Tracees held = TRY(hold_all(pid, while_waiting));
    Tracee& tracee = **std::find_if(held.begin(), held.end(), [](const auto& each) { return each->is_stopped(); });
    auto [pidfd, all, status] = TRY(look_around(pid, back.new_input, back.new_output));
    bool one_socket = back.new_input == back.new_output;
    Descriptors inputs = of_channel(all, back.new_input, O_RDONLY);
    Descriptors outputs = one_socket ? Descriptors() : of_channel(all, back.new_output, O_WRONLY);
    for (Descriptors* each : {&inputs, &outputs})
        std::erase_if(*each, [&](const ProcessDescriptor& descriptor) {
            return std::find(back.made.begin(), back.made.end(), descriptor.number) != back.made.end();
        });
    if (inputs.empty() && outputs.empty() && back.made.empty()) return {};
    fault_point("server stopped");
    TRY_VOID(copy_all_of_rest(back, while_waiting));
    fault_point("rest copied");
    TRY_VOID(tracee.prepare_calls(status));
    fault_point("hand-back begun");
    auto give = [&, &process = pidfd, &registrations = all.registrations](const Descriptors& descriptors,
                                                                          int original) -> Status {
        if (descriptors.empty()) return {};
        int flags = fcntl(original, F_GETFL);
        int wanted = (flags & ~O_NONBLOCK) | (descriptors.front().status_flags & O_NONBLOCK);
        if (back.mode == HandBack::Mode::of_replacement && flags >= 0 && wanted != flags) (void)fcntl(original, F_SETFL, wanted);
        return swap_back(tracee, process, descriptors, registrations, original);
    };
    TRY_VOID(give(inputs, back.original_input));
    fault_point("input given back");
    TRY_VOID(give(outputs, back.original_output));
    fault_point("output given back");
    if (!back.made.empty()) TRY_VOID(close_all(tracee, back.made));
    pollfd room{inputs.empty() ? -1 : back.replacement_input, POLLOUT, 0};
    if (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT) || !reads_through_ring(pid)) return {};
    if (::write(back.replacement_input, "\n", 1) != 1) return Error::system("write", "to end a read through io_uring", errno);
    return {};
}

Status share_replacement(pid_t pid, const TakenEnds& ends, const std::vector<pid_t>& holders, const cg_channel_key& new_input,
                         const cg_channel_key& new_output, const WhileWaiting& while_waiting) {
    for (const pid_t holder : holders) {
        auto pidfd = open_pidfd(holder);
        auto held = find_descriptors(holder, new_input, new_output);
        if (!pidfd || !held) continue;
        const auto fetch = [&](const cg_channel_key& channel, int access) {
            for (const ProcessDescriptor& each : of_channel(*held, channel, access))
                if (auto copy = fetch_descriptor(*pidfd, each.number)) return std::move(*copy);
            return Fd();
        };
        const Fd input = fetch(new_input, O_RDONLY), output = fetch(new_output, O_WRONLY);
        if (!input || !output) continue;
        // What they have is in use: the original, whose mode `pid` has, is the agent's own by now.
        const HandBack change{ends.new_input,         ends.new_output,      input.get(), output.get(),
                              ends.from_server.get(), HandBack::Mode::kept, -1};
        return hand_back(pid, change, while_waiting);
    }
    return Error{ErrorKind::gone, 0, "process " + std::to_string(pid), "shares its input with none that is there"};
}

Status close_made(pid_t pid, const std::vector<int>& made, const WhileWaiting& while_waiting) {
    auto tracee = Tracee::stop(pid, while_waiting);
    if (!tracee) return explain_refusal(pid, tracee.error());
    TRY_VOID((*tracee)->prepare_calls(TRY(ProcessStatus::read(pid))));
    return close_all(**tracee, made);
}

}  // namespace callgate
