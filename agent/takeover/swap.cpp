#include "takeover/swap.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace callgate {
namespace {

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
    static_assert(sizeof(Layout) <= kScratchBytes);
    uint64_t base = tracee.scratch();
    layout.vector.iov_base = reinterpret_cast<void*>(base + offsetof(Layout, byte));
    layout.vector.iov_len = 1;
    layout.message.msg_iov = reinterpret_cast<iovec*>(base + offsetof(Layout, vector));
    layout.message.msg_iovlen = 1;
    layout.message.msg_control = reinterpret_cast<void*>(base + offsetof(Layout, control));
    layout.message.msg_controllen = sizeof(layout.control);
    TRY_VOID(tracee.write(base, &layout, sizeof(layout)));
    TRY(tracee.call({{"recvmsg", SYS_recvmsg, {uint64_t(pair[1]), base, MSG_CMSG_CLOEXEC}}}));
    TRY_VOID(tracee.read(base, &layout, sizeof(layout)));
    int received = -1;
    memcpy(&received, layout.control + CMSG_LEN(0), sizeof(received));
    return received;
}

KernelCall making(const ProcessDescriptor& model, uint64_t place) {
    const uint64_t nonblock = model.status_flags & O_NONBLOCK;
    if (model.kind == ChannelKind::pipe) return {"pipe2", SYS_pipe2, {place, uint64_t(O_CLOEXEC) | nonblock}};
    return {"socketpair", SYS_socketpair, {AF_UNIX, uint64_t(SOCK_STREAM | SOCK_CLOEXEC) | nonblock, 0, place}};
}

Status complete(Replacement& made, Tracee& tracee, const Fd& pidfd, const Replaced& channel) {
    const bool server_has_second = channel.use == ChannelUse::server_writes;
    made.server_end = made.numbers[server_has_second ? 1 : 0];
    made.agent_end = TRY(fetch_descriptor(pidfd, made.numbers[server_has_second ? 0 : 1]));
    if (channel.descriptors.front().kind == ChannelKind::pipe) {
        int capacity = fcntl(made.original.get(), F_GETPIPE_SZ);
        if (capacity > 0 && capacity != fcntl(made.agent_end.get(), F_GETPIPE_SZ))
            (void)fcntl(made.agent_end.get(), F_SETPIPE_SZ, capacity);
    }
    made.channel = channel_of(tracee.tid(), made.server_end).channel;
    return {};
}

}  // namespace

Result<std::vector<Replacement>> make_replacements(Tracee& tracee, const Fd& pidfd, const std::vector<Replaced>& channels) {
    std::vector<Replacement> all(channels.size());
    std::vector<KernelCall> calls;
    std::vector<std::array<int, 2>> numbers(channels.size());
    const size_t bytes = numbers.size() * sizeof(numbers[0]);
    for (size_t i = 0; i < channels.size(); ++i) {
        const ProcessDescriptor& model = channels[i].descriptors.front();
        all[i].original = TRY(fetch_descriptor(pidfd, model.number));
        calls.push_back(making(model, tracee.scratch() + i * sizeof(numbers[0])));
    }
    tracee.close_if_killed(2 * channels.size());
    Status done;
    if (auto made = tracee.call(calls); !made) done = made.error();
    // What there is of them after an error: the others are -1.
    if (Status got = tracee.read(tracee.scratch(), numbers.data(), bytes); !got && done) done = got;
    std::vector<int> open;
    for (size_t i = 0; i < channels.size() && numbers[i][0] >= 0; ++i) {
        all[i].numbers = numbers[i];
        open.insert(open.end(), numbers[i].begin(), numbers[i].end());
        if (done) done = complete(all[i], tracee, pidfd, channels[i]);
    }
    if (done) return all;
    tracee.close_if_killed(0);
    if (!open.empty()) (void)close_all(tracee, std::move(open));
    return done.error();
}

// The old registration goes first: epoll knows files, not numbers, and would go on reporting the old one.
void add_replacing(std::vector<KernelCall>& calls, int source, const std::vector<ProcessDescriptor>& descriptors,
                   const std::vector<EpollRegistration>& registrations) {
    for (const ProcessDescriptor& descriptor : descriptors) {
        const auto number = uint64_t(descriptor.number);
        auto for_each_registration = [&](auto&& add) {
            for (const EpollRegistration& each : registrations)
                if (each.target == descriptor.number) add(each);
        };
        for_each_registration([&](const EpollRegistration& each) {
            calls.push_back({"epoll_ctl(DEL)", SYS_epoll_ctl, {uint64_t(each.epoll), EPOLL_CTL_DEL, number, 0}});
        });
        calls.push_back({"dup3", SYS_dup3, {uint64_t(source), number, uint64_t(descriptor.status_flags & O_CLOEXEC)}});
        for_each_registration([&](const EpollRegistration& each) {
            KernelCall call{"epoll_ctl(ADD)", SYS_epoll_ctl, {uint64_t(each.epoll), EPOLL_CTL_ADD, number, 0}};
            epoll_event event{};
            event.events = each.events;
            event.data.u64 = each.data;
            static_assert(sizeof(event) <= sizeof(call.data));
            memcpy(call.data.data(), &event, sizeof(event));
            call.data_at = 3;
            calls.push_back(call);
        });
    }
}

// By one call where no other number lies between them.
void add_closing(std::vector<KernelCall>& calls, std::vector<int> numbers) {
    std::sort(numbers.begin(), numbers.end());
    const uint64_t first = numbers.front(), last = numbers.back();
    if (last - first + 1 == numbers.size()) {
        calls.push_back({"close_range", SYS_close_range, {first, last, 0}});
    } else {
        for (int number : numbers) calls.push_back({"close", SYS_close, {uint64_t(number)}});
    }
}

Status close_all(Tracee& tracee, std::vector<int> numbers) {
    std::vector<KernelCall> calls;
    add_closing(calls, std::move(numbers));
    TRY(tracee.call(calls));
    return {};
}

Status swap_back(Tracee& tracee, const Fd& pidfd, const std::vector<ProcessDescriptor>& descriptors,
                 const std::vector<EpollRegistration>& registrations, int original) {
    int pair[2];
    TRY(tracee.call({{"socketpair", SYS_socketpair, {AF_UNIX, uint64_t(SOCK_STREAM | SOCK_CLOEXEC), 0, tracee.scratch()}}}));
    TRY_VOID(tracee.read(tracee.scratch(), pair, sizeof(pair)));
    auto received = pass_descriptor(tracee, pidfd, pair, original);
    if (!received) {
        (void)close_all(tracee, {pair[0], pair[1]});
        return received.error();
    }
    std::vector<KernelCall> calls;
    add_replacing(calls, *received, descriptors, registrations);
    add_closing(calls, {pair[0], pair[1], *received});
    auto done = tracee.call(calls);
    if (done) return {};
    // Whatever else can be done is done.
    for (KernelCall& each : calls) (void)tracee.call({each});
    return done.error();
}

}  // namespace callgate
