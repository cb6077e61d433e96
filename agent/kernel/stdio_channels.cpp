#include "kernel/stdio_channels.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <unordered_map>

namespace callgate {
namespace {

constexpr int kAncestors = 8;
// Of the kernel's include/net/tcp_states.h; <netinet/tcp.h>, which has them, has an older tcp_info.
constexpr uint8_t kEstablished = 1, kCloseWait = 8;

// Whoever made a socket pair, where the descriptor is one end of an AF_UNIX stream one; 0 where it is not.
pid_t maker_of_socket(const Fd& pidfd, int number) {
    auto copy = fetch_descriptor(pidfd, number);
    if (!copy) return 0;
    int domain = 0, type = 0;
    socklen_t length = sizeof(int);
    getsockopt(copy->get(), SOL_SOCKET, SO_DOMAIN, &domain, &length);
    getsockopt(copy->get(), SOL_SOCKET, SO_TYPE, &type, &length);
    if (domain != AF_UNIX || type != SOCK_STREAM) return 0;
    // One that has a name was accepted by a listener: its peer is a client of it.
    sockaddr_un name{};
    length = sizeof(name);
    if (getsockname(copy->get(), reinterpret_cast<sockaddr*>(&name), &length) || length > offsetof(sockaddr_un, sun_path))
        return 0;
    ucred peer{};
    length = sizeof(peer);
    getsockopt(copy->get(), SOL_SOCKET, SO_PEERCRED, &peer, &length);
    return peer.pid;
}

bool is_stdio(const Fd& pidfd, const ProcessDescriptor& descriptor) {
    if (descriptor.kind == ChannelKind::pipe) return true;
    if (descriptor.kind == ChannelKind::none) return false;
    auto copy = fetch_descriptor(pidfd, descriptor.number);
    int domain = 0, type = 0;
    socklen_t length = sizeof(int);
    return copy && !getsockopt(copy->get(), SOL_SOCKET, SO_DOMAIN, &domain, &length) && domain == AF_UNIX &&
           !getsockopt(copy->get(), SOL_SOCKET, SO_TYPE, &type, &length) && type == SOCK_STREAM;
}

// The access modes with which a process holds each pipe: bit 0 for reading, bit 1 for writing.
std::unordered_map<uint64_t, int> pipes_of(pid_t pid) {
    std::unordered_map<uint64_t, int> pipes;
    for (const ProcessDescriptor& each : all_channels(pid))
        if (each.kind == ChannelKind::pipe) pipes[each.channel.inode] |= (each.status_flags & O_ACCMODE) == O_WRONLY ? 2 : 1;
    return pipes;
}

}  // namespace

std::optional<StdioChannels> standard_channels(pid_t pid) {
    ProcessDescriptor input = channel_of(pid, 0), output = channel_of(pid, 1);
    if (input.kind == ChannelKind::none) return std::nullopt;
    auto pidfd = open_pidfd(pid);
    if (!pidfd || !is_stdio(*pidfd, input)) return std::nullopt;
    return StdioChannels{input.kind, input.channel, is_stdio(*pidfd, output) ? output.channel : cg_channel_key{}};
}

// As called_connect() in readers.bpf.h has it.
bool input_is_out_of_reach(pid_t pid) {
    if (channel_of(pid, 0).kind == ChannelKind::none) return false;
    auto pidfd = open_pidfd(pid);
    if (!pidfd) return false;
    auto copy = fetch_descriptor(*pidfd, 0);
    int type = 0;
    socklen_t length = sizeof(type);
    if (!copy || getsockopt(copy->get(), SOL_SOCKET, SO_TYPE, &type, &length)) return false;
    if (type != SOCK_STREAM) return true;
    tcp_info info{};
    length = sizeof(info);
    if (getsockopt(copy->get(), IPPROTO_TCP, TCP_INFO, &info, &length)) return false;
    if (info.tcpi_state != kEstablished && info.tcpi_state != kCloseWait) return false;
    return !info.tcpi_unacked && info.tcpi_bytes_acked == info.tcpi_bytes_sent - info.tcpi_bytes_retrans + 1;
}

std::optional<StdioChannels> moved_channels(pid_t pid) {
    auto pidfd = open_pidfd(pid);
    if (!pidfd) return std::nullopt;
    std::vector<ProcessDescriptor> own = all_channels(pid);
    cg_channel_key standard_error = channel_of(pid, 2).channel;
    std::sort(own.begin(), own.end(), [](auto& a, auto& b) { return a.number < b.number; });
    pid_t ancestor = parent_of(pid);
    for (int step = 0; step < kAncestors && ancestor > 1; ++step, ancestor = parent_of(ancestor)) {
        auto held = pipes_of(ancestor);
        const ProcessDescriptor *input = nullptr, *output = nullptr;
        for (const ProcessDescriptor& each : own) {
            if (each.channel == standard_error) continue;
            if (each.kind == ChannelKind::pipe) {
                auto other = held.find(each.channel.inode);
                if (other == held.end()) continue;
                bool reads = (each.status_flags & O_ACCMODE) == O_RDONLY;
                if (reads && other->second == 2 && !input) input = &each;
                if (!reads && other->second == 1 && !output) output = &each;
            } else if (maker_of_socket(*pidfd, each.number) == ancestor) {
                // Either direction fits: the first is the input, as it was 0.
                if (!input) {
                    input = &each;
                } else if (!output && !(each.channel == input->channel)) {
                    output = &each;
                }
            }
        }
        if (input && output) return StdioChannels{input->kind, input->channel, output->channel};
    }
    return std::nullopt;
}

}  // namespace callgate
