#include "takeover/swap.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace callgate {
namespace {

// In the tracee's scratch memory: what a descriptor is passed with, unix(7). The numbers that come of it lie beside each
// other, written by the kernel: it closes them itself where we are killed.
struct Passing {
    msghdr message;
    iovec vector;
    alignas(cmsghdr) char control[sizeof(cmsghdr)];  // its data is `received`
    int received = -1;
    int pair[2] = {-1, -1};
    char byte;
};
constexpr size_t kReceivedPlace = offsetof(Passing, received), kPairPlace = offsetof(Passing, pair);
static_assert(kReceivedPlace == offsetof(Passing, control) + CMSG_LEN(0) && kPairPlace == kReceivedPlace + sizeof(int));
static_assert(sizeof(Passing) <= kScratchBytes);

// Passes one of our descriptors into the tracee over a socket pair of its own; the numbers of all three there, as they are
// in Passing.
Result<std::array<int, 3>> pass_descriptor(Tracee& tracee, const Fd& pidfd, int original) {
    const uint64_t base = tracee.scratch();
    Passing passing{};
    passing.vector = {reinterpret_cast<void*>(base + offsetof(Passing, byte)), 1};
    passing.message.msg_iov = reinterpret_cast<iovec*>(base + offsetof(Passing, vector));
    passing.message.msg_iovlen = 1;
    passing.message.msg_control = reinterpret_cast<void*>(base + offsetof(Passing, control));
    passing.message.msg_controllen = CMSG_LEN(sizeof(int));
    TRY_VOID(tracee.write(base, &passing, sizeof(passing)));
    tracee.close_if_killed(3, kReceivedPlace);
    TRY(tracee.call({{"socketpair", SYS_socketpair, {AF_UNIX, uint64_t(SOCK_STREAM | SOCK_CLOEXEC), 0, base + kPairPlace}}}));
    std::array<int, 3> numbers;
    TRY_VOID(tracee.read(base + kReceivedPlace, numbers.data(), sizeof(numbers)));
    auto pass = [&]() -> Status {
        const Fd ours = TRY(fetch_descriptor(pidfd, numbers[1]));
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
        memcpy(CMSG_DATA(header), &original, sizeof(original));
        if (sendmsg(ours.get(), &message, MSG_NOSIGNAL) != 1) return Error::system("sendmsg", "SCM_RIGHTS", errno);
        TRY(tracee.call({{"recvmsg", SYS_recvmsg, {uint64_t(numbers[2]), base, MSG_CMSG_CLOEXEC}}}));
        TRY_VOID(tracee.read(base + kReceivedPlace, numbers.data(), sizeof(numbers)));
        if (numbers[0] < 0) return Error::refused("recvmsg", "came without the descriptor");
        return {};
    };
    Status passed = pass();
    if (passed) return numbers;
    tracee.close_if_killed(0);
    (void)close_all(tracee, {numbers[1], numbers[2]});
    return passed.error();
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
    const std::array<int, 3> numbers = TRY(pass_descriptor(tracee, pidfd, original));
    tracee.close_if_killed(0);
    std::vector<KernelCall> calls;
    add_replacing(calls, numbers[0], descriptors, registrations);
    add_closing(calls, {numbers.begin(), numbers.end()});
    auto done = tracee.call(calls);
    if (done) return {};
    // Whatever else can be done is done.
    for (KernelCall& each : calls) (void)tracee.call({each});
    return done.error();
}

}  // namespace callgate
