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
#include <cstring>

#include "takeover/swap.h"
#include "takeover/tracee.h"

namespace callgate {
namespace {

using Descriptors = std::vector<ProcessDescriptor>;
using Registrations = std::vector<EpollRegistration>;

Descriptors of_channel(const ProcessDescriptors& all, const cg_channel_key& key, int access) {
    Descriptors found;
    for (const ProcessDescriptor& each : all.channels)
        if (each.channel == key && (each.kind != ChannelKind::pipe || (each.status_flags & O_ACCMODE) == access))
            found.push_back(each);
    return found;
}

// Where the bytes of a finished read are: its iovecs, read from the process.
Result<std::vector<iovec>> buffers_of(const cg_hold& hold) {
    auto read_memory = [&](uint64_t address, void* into, size_t bytes) {
        iovec local{into, bytes}, remote{reinterpret_cast<void*>(address), bytes};
        return process_vm_readv(hold.tid, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(bytes);
    };
    uint64_t vectors = hold.buffer;
    uint64_t count = hold.length;
    if (hold.syscall == SYS_read || hold.syscall == SYS_recvfrom)
        return std::vector<iovec>{{reinterpret_cast<void*>(hold.buffer), hold.length}};
    if (hold.syscall == SYS_recvmsg) {
        msghdr header;
        if (!read_memory(hold.buffer, &header, sizeof(header)))
            return Error::system("process_vm_readv", "msghdr", errno);
        vectors = reinterpret_cast<uint64_t>(header.msg_iov);
        count = header.msg_iovlen;
    }
    if (count > 1024) return Error::refused("readv", "more than IOV_MAX vectors");
    std::vector<iovec> found(count);
    if (count && !read_memory(vectors, found.data(), count * sizeof(iovec)))
        return Error::system("process_vm_readv", "iovec", errno);
    return found;
}

// System calls in which a thread waits for the old file itself, so that it must be made to look again.
bool waits_on(const BlockedSyscall& blocked, const Descriptors& swapped) {
    auto concerns = [&](uint64_t fd) {
        return std::any_of(swapped.begin(), swapped.end(), [&](auto& each) { return uint64_t(each.number) == fd; });
    };
    switch (blocked.number) {
        case SYS_read: case SYS_readv: case SYS_preadv2: case SYS_recvfrom: case SYS_recvmsg: case SYS_recvmmsg:
        case SYS_write: case SYS_writev: case SYS_pwritev2: case SYS_sendto: case SYS_sendmsg: case SYS_splice:
        case SYS_tee:
            return concerns(blocked.arguments[0]);
        case SYS_poll: case SYS_ppoll: case SYS_select: case SYS_pselect6: return true;
        default: return false;
    }
}

Status prepare_calls(pid_t pid, Tracee& tracee) {
    auto status = TRY(ProcessStatus::read(pid));
    // A step would make the kernel reset what the process does with SIGTRAP.
    if (status.has_signal("SigIgn", SIGTRAP)) return Error::refused("process " + std::to_string(pid), "ignores SIGTRAP");
    return tracee.prepare_calls(status.value("Seccomp") != 0);
}

}  // namespace

bool is_peek(const cg_hold& hold) {
    return (hold.syscall == SYS_recvfrom || hold.syscall == SYS_recvmsg) && (hold.flags & MSG_PEEK);
}

Error explain_refusal(pid_t pid, const Error& error) {
    long tracer = error.kind == ErrorKind::system && error.code == EPERM ? status_value(pid, "TracerPid") : 0;
    if (!tracer) return error;
    return Error::refused("process " + std::to_string(pid), "is traced by process " + std::to_string(tracer));
}

Result<std::string> peek_read(const cg_hold& hold, size_t bytes_max) {
    std::vector<iovec> remote = TRY(buffers_of(hold));
    std::string bytes(std::min<size_t>(hold.result, bytes_max), '\0');
    size_t left = bytes.size(), used = 0;
    for (; used < remote.size() && left; ++used) {
        remote[used].iov_len = std::min(remote[used].iov_len, left);
        left -= remote[used].iov_len;
    }
    iovec local{bytes.data(), bytes.size()};
    ssize_t got = process_vm_readv(hold.tid, &local, 1, remote.data(), used, 0);
    if (got != static_cast<ssize_t>(bytes.size()))
        return Error::system("process_vm_readv", "of the bytes read", got < 0 ? errno : EFAULT);
    return bytes;
}

namespace {

// Takes the bytes of a caught read back and puts the thread onto its call again.
Result<std::string> undo_read(Tracee& tracee, const cg_hold& hold) {
    std::string bytes;
    if (!is_peek(hold)) bytes = TRY(peek_read(hold, hold.result));
    tracee.registers().call_again();
    return bytes;
}

Status check_hold(const std::optional<cg_hold>& hold) {
    if (hold && hold->state != CG_HOLDING) return Error{ErrorKind::limit, 0, "hold", "ran out before the thread was stopped"};
    return {};
}

// Threads that wait for the old files look again. What one of them has read meanwhile is returned.
std::string wake_waiters(pid_t pid, pid_t except, const Descriptors& swapped, const TakeoverHelp& help) {
    std::string bytes;
    for (pid_t tid : threads_of(pid)) {
        if (tid == except || !waits_on(blocked_syscall(pid, tid), swapped)) continue;
        auto waiter = Tracee::stop(tid, help.while_waiting);
        if (!waiter) continue;
        auto hold = help.caught ? help.caught(tid) : std::nullopt;
        if (hold && check_hold(hold)) {
            if (auto read = undo_read(**waiter, *hold)) bytes += *read;
        } else if ((*waiter)->registers().needs_settling()) {
            (*waiter)->registers().settle_interrupted_call();
        }
    }
    return bytes;
}

// Copies what waits in a pipe or socket, without waiting for more; waits at most a second for the reader.
Status copy_rest(int from, int to) {
    for (;;) {
        int waiting = 0;
        if (ioctl(from, FIONREAD, &waiting) || waiting <= 0) return {};
        std::string bytes(std::min(waiting, 1 << 16), '\0');
        pollfd writable{to, POLLOUT, 0};
        if (poll(&writable, 1, 1000) != 1 || !(writable.revents & POLLOUT))
            return Error{ErrorKind::limit, 0, "hand-back", "the client does not read"};
        // POLLOUT promises PIPE_BUF bytes without waiting
        ssize_t got = ::read(from, bytes.data(), std::min<size_t>(bytes.size(), PIPE_BUF));
        if (got <= 0) return {};
        for (ssize_t done = 0; done < got;) {
            ssize_t put = ::write(to, bytes.data() + done, got - done);
            if (put < 0) return Error::system("write", "rest of the server's output", errno);
            done += put;
        }
    }
}

}  // namespace

Result<std::string> take_back_read(StoppedThread thread) {
    TRY_VOID(check_hold(thread.hold));
    if (!thread.hold) return std::string();
    return undo_read(*thread.tracee, *thread.hold);
}

Result<TakenEnds> take_over(const TakeoverRequest& request, StoppedThread& thread, const TakeoverHelp& help) {
    TRY_VOID(check_hold(thread.hold));
    Fd pidfd = TRY(open_pidfd(request.pid));
    ProcessDescriptors all = TRY(find_descriptors(request.pid, request.input, request.output));
    Descriptors inputs = of_channel(all, request.input, O_RDONLY);
    Descriptors outputs = of_channel(all, request.output, O_WRONLY);
    if (inputs.empty()) return Error::refused("process " + std::to_string(request.pid), "has closed its input");
    if (outputs.empty()) return Error::refused("process " + std::to_string(request.pid), "has closed its output");

    TakenEnds taken;
    taken.input_kind = inputs.front().kind;
    taken.output_kind = outputs.front().kind;
    taken.input = request.input;
    taken.output = request.output;
    taken.one_socket = request.input == request.output;

    Tracee& tracee = *thread.tracee;
    TRY_VOID(prepare_calls(request.pid, tracee));
    SwappedChannel input = TRY(swap_in_replacement(tracee, pidfd, inputs, all.registrations,
                                                   taken.one_socket ? ChannelUse::both : ChannelUse::server_reads));
    // From here on the server reads the replacement: its bytes go through the gate.
    if (thread.hold) taken.unread = TRY(undo_read(tracee, *thread.hold));
    SwappedChannel output;
    std::vector<const SwappedChannel*> swapped_channels{&input};
    if (!taken.one_socket) {
        auto swapped = swap_in_replacement(tracee, pidfd, outputs, all.registrations, ChannelUse::server_writes);
        if (!swapped) {
            (void)finish_swaps(tracee, swapped_channels);
            return swapped.error();
        }
        output = std::move(*swapped);
        swapped_channels.push_back(&output);
    }
    TRY_VOID(finish_swaps(tracee, swapped_channels));
    taken.from_client = std::move(input.original);
    taken.to_server = std::move(input.agent_end);
    taken.new_input = input.replacement;
    if (taken.one_socket) {
        taken.to_client = Fd::adopt(fcntl(taken.from_client.get(), F_DUPFD_CLOEXEC, 0));
        taken.from_server = Fd::adopt(fcntl(taken.to_server.get(), F_DUPFD_CLOEXEC, 0));
        taken.new_output = taken.new_input;
    } else {
        taken.to_client = std::move(output.original);
        taken.from_server = std::move(output.agent_end);
        taken.new_output = output.replacement;
    }
    pid_t stopped = tracee.tid();
    thread.tracee.reset();

    Descriptors swapped = inputs;
    swapped.insert(swapped.end(), outputs.begin(), outputs.end());
    taken.unread += wake_waiters(request.pid, stopped, swapped, help);
    return taken;
}

Result<TakenConnection> take_connection(pid_t pid, const cg_channel_key& channel, StoppedThread& thread,
                                        const TakeoverHelp& help) {
    TRY_VOID(check_hold(thread.hold));
    Fd pidfd = TRY(open_pidfd(pid));
    ProcessDescriptors held = TRY(find_descriptors(pid, channel, channel));
    if (held.channels.empty()) return Error::refused("process " + std::to_string(pid), "has closed the connection");
    Tracee& tracee = *thread.tracee;
    TRY_VOID(prepare_calls(pid, tracee));
    SwappedChannel swapped =
        TRY(swap_in_replacement(tracee, pidfd, held.channels, held.registrations, ChannelUse::both));
    const SwappedChannel* only = &swapped;
    TRY_VOID(finish_swaps(tracee, {&only, 1}));
    TakenConnection taken;
    taken.client = std::move(swapped.original);
    if (thread.hold) taken.unread = TRY(undo_read(tracee, *thread.hold));
    swapped.agent_end.reset();  // the end that the server reads now
    pid_t stopped = tracee.tid();
    thread.tracee.reset();
    taken.unread += wake_waiters(pid, stopped, held.channels, help);
    taken.descriptors = held.channels.size();
    set_blocking(taken.client.get());
    return taken;
}

Status hand_back(pid_t pid, const HandBack& back, const WhileWaiting& while_waiting) {
    std::vector<std::unique_ptr<Tracee>> stopped;
    auto first = Tracee::stop(pid, while_waiting);
    if (!first) return explain_refusal(pid, first.error());
    stopped.push_back(std::move(*first));
    for (pid_t tid : threads_of(pid)) {
        if (tid == pid) continue;
        auto tracee = Tracee::stop(tid, while_waiting);
        if (!tracee) continue;  // it has ended meanwhile
        if ((*tracee)->registers().needs_settling()) (*tracee)->registers().settle_interrupted_call();
        stopped.push_back(std::move(*tracee));
    }
    Tracee& tracee = *stopped.front();
    Fd pidfd = TRY(open_pidfd(pid));
    ProcessDescriptors all = TRY(find_descriptors(pid, back.new_input, back.new_output));
    bool one_socket = back.new_input == back.new_output;
    Descriptors inputs = of_channel(all, back.new_input, O_RDONLY);
    Descriptors outputs = one_socket ? Descriptors() : of_channel(all, back.new_output, O_WRONLY);
    if (inputs.empty() && outputs.empty()) return {};
    TRY_VOID(copy_rest(back.replacement_output, back.original_output));
    TRY_VOID(prepare_calls(pid, tracee));
    auto give = [&](const Descriptors& descriptors, int original) -> Status {
        if (descriptors.empty()) return {};
        int flags = fcntl(original, F_GETFL);
        int wanted = (flags & ~O_NONBLOCK) | (descriptors.front().status_flags & O_NONBLOCK);
        if (back.mode == HandBack::Mode::of_replacement && flags >= 0 && wanted != flags) (void)fcntl(original, F_SETFL, wanted);
        return swap_back(tracee, pidfd, descriptors, all.registrations, original);
    };
    TRY_VOID(give(inputs, back.original_input));
    return give(outputs, back.original_output);
}

}  // namespace callgate
