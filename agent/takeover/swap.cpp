#include "takeover/swap.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace callgate {
namespace {

// Puts `source` (a descriptor of the tracee) onto every one of `descriptors`, epoll registrations included. The old
// registration goes first: epoll knows files, not numbers, and would go on reporting the old one.
Status replace_descriptors(Tracee& tracee, int source, const std::vector<ProcessDescriptor>& descriptors,
                           const std::vector<EpollRegistration>& registrations) {
    for (const ProcessDescriptor& descriptor : descriptors) {
        for (const EpollRegistration& each : registrations)
            if (each.target == descriptor.number)
                TRY(tracee.call("epoll_ctl(DEL)", SYS_epoll_ctl,
                                {uint64_t(each.epoll), EPOLL_CTL_DEL, uint64_t(each.target), 0}));
        TRY(tracee.call("dup3", SYS_dup3,
                        {uint64_t(source), uint64_t(descriptor.number), uint64_t(descriptor.status_flags & O_CLOEXEC)}));
        for (const EpollRegistration& each : registrations) {
            if (each.target != descriptor.number) continue;
            epoll_event event{};
            event.events = each.events;
            event.data.u64 = each.data;
            TRY_VOID(tracee.write(tracee.scratch(), &event, sizeof(event)));
            TRY(tracee.call("epoll_ctl(ADD)", SYS_epoll_ctl,
                            {uint64_t(each.epoll), EPOLL_CTL_ADD, uint64_t(each.target), tracee.scratch()}));
        }
    }
    return {};
}

// Passes one of our descriptors into the tracee over a socket pair that it has made; its number there.
Result<int> pass_descriptor(Tracee& tracee, const Fd& pidfd, const int (&pair)[2], int original) {
    Fd ours = TRY(fetch_descriptor(pidfd, pair[0]));

    // One byte with the descriptor attached (unix(7), SCM_RIGHTS).
    char byte = 0;
    iovec local_vector{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &local_vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    int number = original;
    memcpy(CMSG_DATA(header), &number, sizeof(number));
    if (sendmsg(ours.get(), &message, MSG_NOSIGNAL) != 1) return Error::system("sendmsg", "SCM_RIGHTS", errno);

    // The receiver's msghdr, vector, control buffer and byte, laid out in the tracee's scratch memory.
    struct Layout {
        msghdr message;
        iovec vector;
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        char byte;
    } layout{};
    static_assert(sizeof(Layout) <= Tracee::kScratchBytes);
    uint64_t base = tracee.scratch();
    layout.vector.iov_base = reinterpret_cast<void*>(base + offsetof(Layout, byte));
    layout.vector.iov_len = 1;
    layout.message.msg_iov = reinterpret_cast<iovec*>(base + offsetof(Layout, vector));
    layout.message.msg_iovlen = 1;
    layout.message.msg_control = reinterpret_cast<void*>(base + offsetof(Layout, control));
    layout.message.msg_controllen = sizeof(layout.control);
    TRY_VOID(tracee.write(base, &layout, sizeof(layout)));
    TRY(tracee.call("recvmsg", SYS_recvmsg, {uint64_t(pair[1]), base, MSG_CMSG_CLOEXEC}));
    TRY_VOID(tracee.read(base, &layout, sizeof(layout)));
    int received = -1;
    memcpy(&received, layout.control + CMSG_LEN(0), sizeof(received));
    return received;
}

}  // namespace

Result<Replacement> make_replacement(Tracee& tracee, const Fd& pidfd, const std::vector<ProcessDescriptor>& descriptors,
                                     ChannelUse use, size_t nth) {
    const ProcessDescriptor& model = descriptors.front();
    Replacement made;
    made.original = TRY(fetch_descriptor(pidfd, model.number));

    uint64_t nonblock = model.status_flags & O_NONBLOCK;
    const uint64_t place = tracee.scratch() + nth * sizeof(made.numbers);
    if (model.kind == ChannelKind::pipe) {
        TRY(tracee.call("pipe2", SYS_pipe2, {place, uint64_t(O_CLOEXEC) | nonblock}));
    } else {
        TRY(tracee.call("socketpair", SYS_socketpair, {AF_UNIX, uint64_t(SOCK_STREAM | SOCK_CLOEXEC) | nonblock, 0, place}));
    }
    TRY_VOID(tracee.read(place, made.numbers.data(), sizeof(made.numbers)));
    const bool server_has_second = use == ChannelUse::server_writes;
    made.server_end = made.numbers[server_has_second ? 1 : 0];
    auto agent_end = fetch_descriptor(pidfd, made.numbers[server_has_second ? 0 : 1]);
    if (!agent_end) {
        (void)close_all(tracee, {made.numbers[0], made.numbers[1]});
        return agent_end.error();
    }
    made.agent_end = std::move(*agent_end);
    if (model.kind == ChannelKind::pipe) {
        int capacity = fcntl(made.original.get(), F_GETPIPE_SZ);
        if (capacity > 0 && capacity != fcntl(made.agent_end.get(), F_GETPIPE_SZ))
            (void)fcntl(made.agent_end.get(), F_SETPIPE_SZ, capacity);
    }
    made.channel = channel_of(tracee.tid(), made.server_end).channel;
    return made;
}

Status put_in_place(Tracee& tracee, const Replacement& replacement, const std::vector<ProcessDescriptor>& descriptors,
                    const std::vector<EpollRegistration>& registrations) {
    return replace_descriptors(tracee, replacement.server_end, descriptors, registrations);
}

Status close_all(Tracee& tracee, std::vector<int> numbers) {
    std::sort(numbers.begin(), numbers.end());
    uint64_t first = numbers.front(), last = numbers.back();
    if (last - first + 1 == numbers.size() && tracee.call("close_range", SYS_close_range, {first, last, 0})) return {};
    Status closed;
    for (int number : numbers)
        if (auto one = tracee.call("close", SYS_close, {uint64_t(number)}); !one && closed) closed = one.error();
    return closed;
}

Status swap_back(Tracee& tracee, const Fd& pidfd, const std::vector<ProcessDescriptor>& descriptors,
                 const std::vector<EpollRegistration>& registrations, int original) {
    int pair[2];
    TRY(tracee.call("socketpair", SYS_socketpair, {AF_UNIX, uint64_t(SOCK_STREAM | SOCK_CLOEXEC), 0, tracee.scratch()}));
    TRY_VOID(tracee.read(tracee.scratch(), pair, sizeof(pair)));
    auto received = pass_descriptor(tracee, pidfd, pair, original);
    Status replaced = received ? replace_descriptors(tracee, *received, descriptors, registrations) : received.error();
    std::vector<int> made = {pair[0], pair[1]};
    if (received) made.push_back(*received);
    Status closed = close_all(tracee, std::move(made));
    return replaced ? closed : replaced;
}

}  // namespace callgate
