#include "io/epoll_ring.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <climits>

namespace callgate {
namespace {

// Told whether it was asked for or not.
constexpr uint32_t kAlways = EPOLLERR | EPOLLHUP;
constexpr int kEventsAtOnce = 256;

}  // namespace

Result<std::unique_ptr<Ring>> EpollRing::create() {
    std::unique_ptr<EpollRing> ring(new EpollRing());
    ring->epoll_ = Fd::adopt(epoll_create1(EPOLL_CLOEXEC));
    if (!ring->epoll_) return Error::system("epoll_create1", "", errno);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK)) return Error::system("pipe2", "", errno);
    ring->pipe_reading_ = Fd::adopt(ends[0]);
    ring->pipe_writing_ = Fd::adopt(ends[1]);
    ring->buffer_ = std::make_unique_for_overwrite<char[]>(kReadBytes);
    return std::unique_ptr<Ring>(std::move(ring));
}

void EpollRing::read(int fd, bool is_socket, Completion* completion, bool) {
    begin(fd, {Operation::Kind::read, is_socket, EPOLLIN, completion, nullptr, kReadBytes});
}

void EpollRing::read_into(int fd, bool is_socket, std::span<char> memory, Completion* completion, bool) {
    begin(fd, {Operation::Kind::read_into, is_socket, EPOLLIN, completion, memory.data(), memory.size()});
}

void EpollRing::write(int fd, bool is_socket, std::string_view bytes, Completion* completion) {
    char* memory = const_cast<char*>(bytes.data());
    begin(fd, {Operation::Kind::write, is_socket, EPOLLOUT, completion, memory, bytes.size()});
}

void EpollRing::accept(int listener, Completion* completion) {
    begin(listener, {Operation::Kind::accept, true, EPOLLIN, completion, nullptr, 0});
}

void EpollRing::poll(int fd, short events, Completion* completion) {
    begin(fd, {Operation::Kind::poll, false, static_cast<uint32_t>(events), completion, nullptr, 0});
}

// Whatever has begun can be cancelled, and found due, without memory.
void EpollRing::begin(int fd, const Operation& operation) {
    assert(fd >= 0);
    const size_t all = ended_.size() + where_.size() + 1;
    if (ended_.capacity() < all) ended_.reserve(2 * all);
    if (const int error = put_down(fd, operation)) ended_.push_back({operation.completion, -error});
}

// An errno, or 0.
int EpollRing::put_down(int fd, const Operation& operation) try {
    if (operations_.size() <= static_cast<size_t>(fd)) operations_.resize(fd + 1);
    std::vector<Operation>& all = operations_[fd];
    const Watched before = watched(all);
    if (due_.capacity() <= all.size()) due_.reserve(2 * all.size() + 1);
    if (all.capacity() == all.size()) all.reserve(2 * all.size() + 1);
    const auto place = where_.emplace(operation.completion, fd);
    all.push_back(operation);
    const int error = watch(fd, before);
    if (error) {
        all.pop_back();
        where_.erase(place);
    }
    return error;
} catch (const std::bad_alloc&) {
    return ENOMEM;
}

EpollRing::Watched EpollRing::watched(const std::vector<Operation>& all) {
    Watched watched{!all.empty(), 0};
    for (const Operation& each : all) watched.events |= each.events;
    return watched;
}

int EpollRing::watch(int fd, const Watched& before) {
    const Watched now = watched(operations_[fd]);
    if (now == before) return 0;
    epoll_event event{};
    event.events = now.events;
    event.data.fd = fd;
    const int how = !before.is_any ? EPOLL_CTL_ADD : now.is_any ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    return epoll_ctl(epoll_.get(), how, fd, &event) ? errno : 0;
}

void EpollRing::cancel(Completion* completion) {
    const auto [first, last] = where_.equal_range(completion);
    for (auto each = first; each != last; ++each) {
        const int fd = each->second;
        const Watched before = watched(operations_[fd]);
        const auto is_its = [&](const Operation& operation) { return operation.completion == completion; };
        const size_t cancelled = std::erase_if(operations_[fd], is_its);
        (void)watch(fd, before);
        ended_.insert(ended_.end(), cancelled, {completion, -ECANCELED});
    }
    where_.erase(first, last);
}

// A completion may begin others on the same descriptor, or close it: it is not watched for these any more then.
void EpollRing::ready(int fd, uint32_t events) {
    std::vector<Operation>& all = operations_[fd];
    const Watched before = watched(all);
    due_.clear();
    std::erase_if(all, [&](const Operation& each) {
        const bool is_due = events & (each.events | kAlways);
        if (is_due) due_.push_back(each);
        return is_due;
    });
    (void)watch(fd, before);
    for (const Operation& each : due_) forget(fd, each.completion);
    for (size_t i = 0, count = due_.size(); i < count; ++i) {
        const Operation each = due_[i];
        complete(fd, each, events);
    }
}

void EpollRing::forget(int fd, Completion* completion) {
    const auto [first, last] = where_.equal_range(completion);
    where_.erase(std::find_if(first, last, [fd](const auto& each) { return each.second == fd; }));
}

void EpollRing::complete(int fd, const Operation& operation, uint32_t events) {
    ssize_t result = 0;
    std::string_view bytes;
    switch (operation.kind) {
        case Operation::Kind::read:
            result = receive(fd, operation, buffer_.get());
            if (result > 0) bytes = {buffer_.get(), static_cast<size_t>(result)};
            break;
        case Operation::Kind::read_into: result = receive(fd, operation, operation.memory); break;
        case Operation::Kind::write: result = send(fd, operation); break;
        case Operation::Kind::accept:
            result = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
            if (result < 0) result = -errno;
            break;
        case Operation::Kind::poll: result = events & (operation.events | kAlways); break;
    }
    if (result == -EAGAIN || result == -EINTR) return begin(fd, operation);
    operation.completion->complete(static_cast<int>(result), bytes);
}

ssize_t EpollRing::receive(int fd, const Operation& operation, char* memory) {
    if (operation.is_socket) {
        const ssize_t got = recv(fd, memory, operation.bytes, MSG_DONTWAIT);
        return got < 0 ? -errno : got;
    }
    const int into = pipe_writing_.get();
    const ssize_t moved = splice(fd, nullptr, into, nullptr, operation.bytes, SPLICE_F_NONBLOCK);
    if (moved < 0) return -errno;
    ssize_t got = 0;
    while (got < moved) {
        const ssize_t more = ::read(pipe_reading_.get(), memory + got, moved - got);
        assert(more > 0);  // it is in there
        got += more;
    }
    return got;
}

ssize_t EpollRing::send(int fd, const Operation& operation) {
    if (operation.is_socket) {
        const ssize_t sent = ::send(fd, operation.memory, operation.bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        return sent < 0 ? -errno : sent;
    }
    const ssize_t put = ::write(pipe_writing_.get(), operation.memory, std::min(operation.bytes, kReadBytes));
    if (put < 0) return -errno;
    const ssize_t moved = splice(pipe_reading_.get(), nullptr, fd, nullptr, put, SPLICE_F_NONBLOCK);
    const int error = errno;
    // What has not gone on is written again.
    for (ssize_t left = put - std::max<ssize_t>(moved, 0); left > 0;) {
        const ssize_t dropped = ::read(pipe_reading_.get(), buffer_.get(), left);
        assert(dropped > 0);
        left -= dropped;
    }
    return moved < 0 ? -error : moved;
}

// Those that come meanwhile wait for the next turn.
void EpollRing::complete_ended() {
    const size_t count = ended_.size();
    for (size_t i = 0; i < count; ++i) {
        const Ended each = ended_[i];
        each.completion->complete(each.result, {});
    }
    ended_.erase(ended_.begin(), ended_.begin() + static_cast<ptrdiff_t>(count));
}

void EpollRing::turn(std::optional<std::chrono::nanoseconds> limit) {
    if (!ended_.empty()) limit = std::chrono::nanoseconds(0);
    // Whole milliseconds, rounded up: epoll_pwait2(), which takes finer ones, is of Linux 5.11, and refused by those profiles of
    // container engines that know neither it nor io_uring.
    int wait_ms = -1;
    if (limit)
        wait_ms = static_cast<int>(std::min<int64_t>(std::chrono::ceil<std::chrono::milliseconds>(*limit).count(), INT_MAX));
    epoll_event events[kEventsAtOnce];
    const int count = epoll_wait(epoll_.get(), events, kEventsAtOnce, wait_ms);
    for (int i = 0; i < count; ++i) ready(events[i].data.fd, events[i].events);
    complete_ended();
}

}  // namespace callgate
