#include "failing_calls.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace callgate {

thread_local uint64_t FailingCalls::countdown_ = 0;
thread_local int FailingCalls::error_ = 0;
thread_local bool FailingCalls::has_failed_ = false;

bool FailingCalls::stop() {
    countdown_ = 0;
    return std::exchange(has_failed_, false);
}

int FailingCalls::due() {
    if (countdown_ == 0 || --countdown_ > 0) return 0;
    has_failed_ = true;
    return error_;
}

}  // namespace callgate

using callgate::FailingCalls;
using callgate::kShort;

// --wrap: these take the place of the C library's where the relay calls them. read(2) is not among them: what the relay reads
// so is a pipe of its own that holds the bytes, and that cannot fail.
namespace {

template <typename Call>
ssize_t call(size_t& bytes, const Call& make) {
    const int failure = FailingCalls::due();
    if (failure > 0) {
        errno = failure;
        return -1;
    }
    if (failure == kShort) bytes = std::min<size_t>(bytes, 1);
    return make();
}

// Of a message with one part or two.
template <typename Call>
ssize_t call_for_message(msghdr& message, const Call& make) {
    const msghdr before = message;
    iovec first = before.msg_iov[0];
    iovec* const parts = message.msg_iov;
    const int failure = FailingCalls::due();
    if (failure > 0) {
        errno = failure;
        return -1;
    }
    if (failure == kShort && first.iov_len > 0) {
        first.iov_len = 1;
        message.msg_iov = &first;
        message.msg_iovlen = 1;
    }
    const ssize_t result = make();
    message.msg_iov = parts;
    message.msg_iovlen = before.msg_iovlen;
    return result;
}

}  // namespace

extern "C" {
ssize_t __real_write(int, const void*, size_t);
ssize_t __wrap_write(int fd, const void* memory, size_t bytes) {
    return call(bytes, [&] { return __real_write(fd, memory, bytes); });
}
ssize_t __real_recv(int, void*, size_t, int);
ssize_t __wrap_recv(int fd, void* memory, size_t bytes, int flags) {
    return call(bytes, [&] { return __real_recv(fd, memory, bytes, flags); });
}
ssize_t __real_send(int, const void*, size_t, int);
ssize_t __wrap_send(int fd, const void* memory, size_t bytes, int flags) {
    return call(bytes, [&] { return __real_send(fd, memory, bytes, flags); });
}
ssize_t __real_splice(int, off64_t*, int, off64_t*, size_t, unsigned);
ssize_t __wrap_splice(int from, off64_t* from_at, int to, off64_t* to_at, size_t bytes, unsigned flags) {
    return call(bytes, [&] { return __real_splice(from, from_at, to, to_at, bytes, flags); });
}
ssize_t __real_sendmsg(int, const msghdr*, int);
ssize_t __wrap_sendmsg(int fd, const msghdr* message, int flags) {
    msghdr copy = *message;
    return call_for_message(copy, [&] { return __real_sendmsg(fd, &copy, flags); });
}
int __real_sendmmsg(int, mmsghdr*, unsigned, int);
int __wrap_sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
    return static_cast<int>(call_for_message(messages->msg_hdr, [&] { return __real_sendmmsg(fd, messages, count, flags); }));
}
int __real_recvmmsg(int, mmsghdr*, unsigned, int, timespec*);
int __wrap_recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* time) {
    return static_cast<int>(
        call_for_message(messages->msg_hdr, [&] { return __real_recvmmsg(fd, messages, count, flags, time); }));
}
int __real_epoll_ctl(int, int, int, epoll_event*);
int __wrap_epoll_ctl(int epoll, int how, int fd, epoll_event* event) {
    if (how != EPOLL_CTL_ADD) return __real_epoll_ctl(epoll, how, fd, event);  // only this one takes memory
    size_t none = 0;
    return static_cast<int>(call(none, [&] { return __real_epoll_ctl(epoll, how, fd, event); }));
}
}
