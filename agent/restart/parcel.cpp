#include "restart/parcel.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/limits.h"

namespace callgate {
namespace {

using Control = char[CMSG_SPACE(Bundle::kBundleDescriptorsMax * sizeof(int))];

// What a message takes of the sender's buffer, its own overhead included.
constexpr size_t kMessageBytes = 2048;

}  // namespace

Status send_bundle(const Fd& socket, std::string_view label, std::span<const int> fds) {
    if (label.empty() || label.size() > Bundle::kLabelBytesMax || fds.size() > Bundle::kBundleDescriptorsMax)
        return Error::invalid("parcel", "a bundle has no label, or more than fits");
    alignas(cmsghdr) Control control{};
    iovec text{const_cast<char*>(label.data()), label.size()};
    msghdr message{};
    message.msg_iov = &text;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size_bytes());
        memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    }
    if (sendmsg(socket.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return Error::system("sendmsg", "parcel", errno);
    return {};
}

Status send_bundle(const Fd& socket, const Bundle& bundle) {
    std::vector<int> fds;
    for (const Fd& each : bundle.fds) fds.push_back(each.get());
    return send_bundle(socket, bundle.label, fds);
}

Result<Fd> pack(const std::vector<Bundle>& bundles) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) return Error::system("socketpair", "parcel", errno);
    Fd reading = Fd::adopt(ends[0]), writing = Fd::adopt(ends[1]);
    const int bytes = static_cast<int>(std::min<size_t>((bundles.size() + 1) * kMessageBytes, INT32_MAX / 2));
    if (setsockopt(writing.get(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
        (void)setsockopt(writing.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    for (const Bundle& bundle : bundles) TRY_VOID(send_bundle(writing, bundle));
    return reading;
}

Result<Bundle> receive_bundle(const Fd& socket, Take take) {
    alignas(cmsghdr) Control control{};
    char label[Bundle::kLabelBytesMax];
    iovec place{label, sizeof(label)};
    msghdr message{};
    message.msg_iov = &place;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const int peek = take == Take::copy ? MSG_PEEK : 0;
    const ssize_t got = recvmsg(socket.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | peek);
    if (got == 0) return Error{ErrorKind::gone, 0, "parcel", "is empty"};
    if (got < 0 && errno == EAGAIN) return Error{ErrorKind::gone, 0, "parcel", "is empty"};
    if (got < 0) return Error::system("recvmsg", "parcel", errno);
    Bundle bundle{std::string(label, static_cast<size_t>(got)), {}};
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; ++i) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
            bundle.fds.push_back(Fd::adopt(fd));
        }
    }
    // More than this process may have open: what is missing cannot be told, so nothing of it can be used.
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) bundle.fds.clear();
    return bundle;
}

bool drop_bundle(const Fd& socket) {
    char byte;
    return ::recv(socket.get(), &byte, 1, MSG_DONTWAIT) > 0;
}

Result<std::vector<Bundle>> unpack(const Fd& parcel) {
    std::vector<Bundle> bundles;
    for (;;) {
        Result<Bundle> bundle = receive_bundle(parcel, Take::out);
        if (bundle) {
            bundles.push_back(std::move(*bundle));
        } else if (bundle.error().kind == ErrorKind::gone) {
            return bundles;
        } else {
            return bundle.error();
        }
    }
}

}  // namespace callgate
