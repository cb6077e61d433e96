#include "frame/line_framer.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "base/limits.h"

namespace callgate {
namespace {

// Memory up to this size is kept from one partial line to the next.
constexpr size_t kBufferBytesKept = 4096;

// A partial line as long as this is worth making room for at once, and lending the room.
constexpr size_t kLongLine = kReadBytes;

// Most that is lent at once; more than a pipe or socket holds brings nothing.
constexpr size_t kLoanBytesMax = size_t{1} << 20;

// Bytes up to and including the first LF; 0 where there is none.
size_t line_length(std::string_view bytes) {
    const void* feed = memchr(bytes.data(), '\n', bytes.size());
    return feed == nullptr ? 0 : static_cast<size_t>(static_cast<const char*>(feed) - bytes.data()) + 1;
}

}  // namespace

LineFramer::LineFramer(size_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) { assert(frame_bytes_max > 0); }

void LineFramer::feed(std::string_view chunk, Handler& handler) {
    if (!lent_.empty() && chunk.data() == lent_.data()) return feed_lent(chunk, handler);
    part_from_loan();
    if (stopped_ && !deliver_pending(handler)) return buffer_.append(chunk);
    if (!buffer_.empty()) complete_partial(chunk, handler);
    deliver_or_keep(chunk, handler);
}

std::span<char> LineFramer::lend_room() {
    lent_ = {};
    parted_.release();
    const size_t left = frame_bytes_max_ - std::min(buffer_.size(), frame_bytes_max_);
    if (stopped_ || buffer_.size() < kLongLine || left == 0) return {};
    const std::span<char> room = buffer_.room(std::min(left, kReadBytes));
    lent_ = room.first(std::min({room.size(), left, kLoanBytesMax}));
    return lent_;
}

// Bytes that have been read right behind the partial line. They are within the limit, for no more room was lent.
void LineFramer::feed_lent(std::string_view fresh, Handler& handler) {
    lent_ = {};
    if (parted_.capacity() > 0) {
        const Bytes memory = std::move(parted_);
        return feed(fresh, handler);
    }
    const size_t length = line_length(fresh);
    buffer_.commit(length == 0 ? fresh.size() : length);
    if (length == 0) return;
    const Bytes rest(fresh.substr(length));
    end_line(handler);
    deliver_or_keep(rest.view(), handler);
}

// The line goes on in memory of its own; what is lent stays where it is.
void LineFramer::part_from_loan() {
    if (lent_.empty() || parted_.capacity() > 0) return;
    Bytes copy(buffer_.view());
    parted_ = std::exchange(buffer_, std::move(copy));
}

// `chunk` begins a line, and nothing else is pending.
void LineFramer::deliver_or_keep(std::string_view chunk, Handler& handler) {
    if (chunk.empty()) return;
    if (!stopped_) chunk.remove_prefix(deliver(chunk, handler));
    if (chunk.size() >= kLongLine) buffer_.reserve(std::min(std::max(last_long_, chunk.size()) + kReadBytes, frame_bytes_max_));
    buffer_.append(chunk);
}

// Hands out the whole lines at the front of `bytes`; returns how many bytes are done with.
size_t LineFramer::deliver(std::string_view bytes, Handler& handler) {
    size_t at = 0;
    while (at < bytes.size() && !stopped_) {
        const std::string_view rest = bytes.substr(at);
        const size_t length = line_length(rest);
        if (skipped_bytes_ > 0) {
            skipped_bytes_ += length == 0 ? rest.size() : length;
            if (length == 0) return bytes.size();
            at += length;
            handler.skipped(std::exchange(skipped_bytes_, 0));
            continue;
        }
        if ((length == 0 ? rest.size() : length) > frame_bytes_max_) {
            skipped_bytes_ = frame_bytes_max_;
            at += frame_bytes_max_;
            handler.oversize(rest.substr(0, frame_bytes_max_));
            continue;
        }
        if (length == 0) break;
        at += length;
        stopped_ = !handler.line(rest.substr(0, length));
    }
    return at;
}

// The lines that a stop left behind. False if the handler stops again; otherwise buffer_ holds a partial line
// at most.
bool LineFramer::deliver_pending(Handler& handler) {
    stopped_ = false;
    delivered_ += deliver(buffer_.view().substr(delivered_), handler);
    if (delivered_ == buffer_.size()) {
        release();
    } else if (!stopped_ || delivered_ > buffer_.size() / 2) {
        // At most half of it moves, or it moves for the last time before its LF comes: linear in all.
        buffer_.erase_front(std::exchange(delivered_, 0));
    }
    return !stopped_;
}

// Joins the partial line in buffer_ with the head of `chunk`, and takes that off the chunk.
void LineFramer::complete_partial(std::string_view& chunk, Handler& handler) {
    if (chunk.empty()) return;
    const size_t length = line_length(chunk);
    const size_t wanted = length == 0 ? chunk.size() : length;
    if (wanted > frame_bytes_max_ - buffer_.size()) {
        const size_t fits = frame_bytes_max_ - buffer_.size();
        buffer_.append(chunk.substr(0, fits));
        chunk.remove_prefix(fits);
        skipped_bytes_ = frame_bytes_max_;
        handler.oversize(buffer_.view());
        release();
        return;
    }
    buffer_.append(chunk.substr(0, wanted));
    chunk.remove_prefix(wanted);
    if (length > 0) end_line(handler);
}

// buffer_ holds one whole line.
void LineFramer::end_line(Handler& handler) {
    if (buffer_.size() > kLongLine) last_long_ = buffer_.size();
    stopped_ = !handler.line(buffer_.view());
    release();
}

void LineFramer::release() {
    buffer_.clear();
    delivered_ = 0;
    if (buffer_.capacity() > kBufferBytesKept) buffer_.release();
}

std::string_view LineFramer::rest() const { return buffer_.view().substr(delivered_); }

void LineFramer::clear() {
    part_from_loan();
    release();
    skipped_bytes_ = 0;
    stopped_ = false;
}

Bytes LineFramer::take(std::string_view line) {
    if (line.data() != buffer_.view().data() || line.size() != buffer_.size()) return Bytes(line);
    return std::exchange(buffer_, {});
}

size_t LineFramer::buffered_bytes() const { return buffer_.size() - delivered_; }

}  // namespace callgate
