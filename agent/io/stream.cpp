#include "io/stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <new>
#include <utility>

namespace callgate {
namespace {

constexpr std::chrono::milliseconds kHangupInterval{100};
// A half-closed socket that is full is written to again so often.
constexpr std::chrono::milliseconds kFullInterval{5};

// A long message would go through a pipe of the default size in many turns, each a wake-up of both sides.
void widen(int fd, bool is_socket) {
    int bytes = kWideChannelBytes;
    if (!is_socket) {
        (void)fcntl(fd, F_SETPIPE_SZ, bytes);
    } else if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes))) {
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    }
}

void or_fail(const std::function<void()>& failed, const auto& work) {
    try {
        work();
    } catch (const std::bad_alloc&) {
        if (!failed) throw;
        failed();
    }
}

// Nothing was done, and nobody had asked for that: it is tried again.
bool is_passing(ssize_t result) { return result == -EINTR || result == -EAGAIN || result == -ECANCELED; }

}  // namespace

Source::Source(Ring& ring, Fd fd, bool is_socket, Events events)
    : ring_(ring), fd_(std::move(fd)), is_socket_(is_socket), events_(std::move(events)), open_(fd_.valid()) {}

void Source::resume() {
    paused_ = false;
    if (!open_ || in_flight_) return;
    if (ledger_) {
        ring_.poll_readable(fd_.get(), this);
        polling_ = in_flight_ = true;
        return;
    }
    const std::span<char> room = events_.room ? events_.room() : std::span<char>();
    reading_into_ = room.data();
    if (room.empty()) {
        ring_.read(fd_.get(), is_socket_, this, drained_);
    } else {
        ring_.read_into(fd_.get(), is_socket_, room, this, drained_);
    }
    room_ = room.empty() ? kReadBytes : room.size();
    in_flight_ = true;
}

void Source::stop() {
    if (!open_) return;
    open_ = false;
    stopped_ = true;
    if (in_flight_) ring_.cancel(this);
}

bool Source::go_on() {
    if (in_flight_ || !std::exchange(stopped_, false)) return false;
    open_ = true;
    resume();
    return true;
}

void Source::close() {
    stop();
    stopped_ = false;
    closing_ = true;
    if (!in_flight_) drop_fd();
}

void Source::drop_fd() {
    const Fd gone = std::move(fd_);
    if (gone && events_.closing) events_.closing();
}

// A read from the ring would leave what has come to this process alone.
void Source::readable() {
    if (!open_) {
        if (closing_) drop_fd();
        return;
    }
    if (paused_) return;
    if (!ledger_) return resume();
    const ssize_t got = ledger_->read(flow_, fd_.get(), is_socket_);
    if (is_passing(got)) return resume();
    if (got == -ENOBUFS) {
        events_.no_room();
        return resume();
    }
    if (got <= 0) return end(got);
    events_.bytes(ledger_->unseen(flow_));
    if (open_ && !paused_) resume();
}

void Source::end(ssize_t result) {
    open_ = false;
    error_ = static_cast<int>(-result);
    events_.end();
}

void Source::complete(int result, std::string_view bytes) {
    in_flight_ = false;
    or_fail(events_.failed, [&] { completed(result, bytes); });
}

void Source::completed(int result, std::string_view bytes) {
    if (std::exchange(polling_, false)) return readable();
    if (reading_into_ && result > 0) bytes = {reading_into_, static_cast<size_t>(result)};
    if (!open_) {
        // Bytes that arrived while closing are still the connection's: nothing that was read is lost.
        if (result > 0) events_.bytes(bytes);
        if (closing_) drop_fd();
        return;
    }
    if (is_passing(result) || result == -ENOBUFS) {
        if (!paused_) resume();
        return;
    }
    if (result <= 0) return end(result);
    drained_ = bytes.size() < room_;
    events_.bytes(bytes);
    if (open_ && !paused_) resume();
}

Sink::Sink(Ring& ring, Fd fd, bool is_socket, Events events, Owner owner)
    : ring_(ring),
      fd_(std::move(fd)),
      is_socket_(is_socket),
      ours_(owner == Owner::agent),
      events_(std::move(events)),
      open_(fd_.valid()) {}

void Sink::watch_hangup() {
    if (watching_ || !open_ || suspended_) return;
    ring_.poll_hangup(fd_.get(), &hangup_);
    watching_ = true;
}

void Sink::flush() {
    if (!open_) return pending_.clear();
    if (writing_now_ || suspended_) return;
    if (ledger_) return flush_ledger();
    if (pending_.empty()) return end_if_done();
    writing_.swap(pending_);
    widen_once(writing_.size());
    if (is_socket_) written_ = send_now();
    if (written_ < writing_.size()) return write_on();
    forget_written();
    end_if_done();
}

// Most of what is written fits at once, and costs less than a turn of the ring. An error shows when the ring writes.
size_t Sink::send_now() {
    const std::string_view parts[2] = {writing_.first(), writing_.second()};
    iovec vector[2];
    for (int i = 0; i < 2; ++i) vector[i] = {const_cast<char*>(parts[i].data()), parts[i].size()};
    msghdr message{};
    message.msg_iov = vector;
    message.msg_iovlen = 2;
    const ssize_t sent = sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent > 0 ? static_cast<size_t>(sent) : 0;
}

void Sink::widen_once(size_t bytes) {
    if (bytes <= kReadBytes || !ours_ || widened_) return;
    widened_ = true;
    widen(fd_.get(), is_socket_);
}

void Sink::flush_ledger() {
    const size_t bytes = ledger_->unwritten_bytes(flow_);
    if (bytes == 0) return end_if_done();
    widen_once(bytes);
    const ssize_t written = ledger_->write(flow_, fd_.get(), is_socket_);
    if (written < 0) return break_off(written);
    if (ledger_->unwritten_bytes(flow_) == 0) return end_if_done();
    if (later_) return;
    ring_.poll_writable(fd_.get(), this);
    writing_now_ = polling_ = true;
}

void Sink::break_off(ssize_t result) {
    error_ = static_cast<int>(-result);
    close();
    events_.gone();
}

void Sink::writable(int result) {
    if (!open_) {
        if (idle()) drop_fd();
        return;
    }
    if (suspended_) return;
    if (result > 0 && !(result & (POLLOUT | POLLERR | POLLHUP))) return flush_later();
    flush();
    if (open_) events_.written();
}

void Sink::leave_ledger() {
    Outbox all;
    all.append(ledger_->unwritten(flow_));
    all.append(pending_.first());
    all.append(pending_.second());
    pending_.swap(all);
    ledger_ = nullptr;
}

void Sink::drop_fd() {
    const Fd gone = std::move(fd_);
    if (gone && events_.closing) events_.closing();
}

void Sink::write_on() {
    const std::string_view first = writing_.first();
    ring_.write(fd_.get(), is_socket_,
                written_ < first.size() ? first.substr(written_) : writing_.second().substr(written_ - first.size()), this);
    writing_now_ = true;
}

void Sink::forget_written() {
    writing_.clear();
    written_ = 0;
}

void Sink::finish() {
    finishing_ = true;
    flush();
}

void Sink::end_if_done() {
    if (!finishing_ || finished_ || suspended_ || writing_now_ || pending_bytes() > 0) return;
    finished_ = true;
    if (is_socket_ && !end_by_closing_) {
        ::shutdown(fd_.get(), SHUT_WR);
    } else {
        close();
    }
    if (events_.finished) events_.finished();
}

void Sink::close() {
    open_ = false;
    pending_.clear();
    if (writing_now_) ring_.cancel(this);
    if (watching_) ring_.cancel(&hangup_);
    if (idle()) drop_fd();
}

void Sink::complete(int result, std::string_view) {
    writing_now_ = false;
    or_fail(events_.failed, [&] { completed(result); });
}

void Sink::Hangup::complete(int result, std::string_view) {
    sink_.watching_ = false;
    or_fail(sink_.events_.failed, [&] { sink_.hung_up(result); });
}

void Sink::completed(int result) {
    if (std::exchange(polling_, false)) return writable(result);
    if (!open_) {
        if (idle()) drop_fd();
        forget_written();
        return;
    }
    if (is_passing(result)) result = 0;
    if (result < 0) {
        forget_written();
        return break_off(result);
    }
    written_ += result;
    if (suspended_) return;
    if (written_ < writing_.size()) {
        write_on();
    } else {
        forget_written();
        flush();
    }
    events_.written();
}

void Sink::hung_up(int result) {
    if (!open_) {
        if (idle()) drop_fd();
        return;
    }
    if (suspended_) return;  // who goes on with it will be told again
    if (result < 0 || !(result & (POLLHUP | POLLERR))) return look_for_hangup();
    close();
    events_.gone();
}

void Sink::suspend() {
    suspended_ = true;
    if (writing_now_) ring_.cancel(this);
    if (watching_) ring_.cancel(&hangup_);
}

std::string Sink::unwritten() const {
    std::string bytes = ledger_ ? ledger_->unwritten(flow_) : std::string(writing_.first());
    bytes += writing_.second();
    bytes.erase(0, written_);
    bytes += pending_.first();
    bytes += pending_.second();
    return bytes;
}

// io_uring reports a half-closed socket (POLLRDHUP) asked for or not: to wait for room in it would be no wait.
void Sink::flush_later() {
    later_ = true;
    ring_.after(kFullInterval, [this, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired()) return;
        later_ = false;
        if (!open_ || suspended_ || writing_now_) return;
        or_fail(events_.failed, [this] { writable(POLLOUT); });
    });
}

// A poll may end for that alone, or for want of memory. The other half may be open for long: from here on the hang-up proper is
// looked for at intervals.
void Sink::look_for_hangup() {
    pollfd poll{fd_.get(), 0, 0};
    if (::poll(&poll, 1, 0) == 1 && (poll.revents & (POLLHUP | POLLERR))) {
        close();
        return events_.gone();
    }
    ring_.after(kHangupInterval, [this, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired() || !open_ || suspended_) return;
        or_fail(events_.failed, [this] { look_for_hangup(); });
    });
}

}  // namespace callgate
