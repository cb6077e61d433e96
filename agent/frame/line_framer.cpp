#include "frame/line_framer.h"

#include <cassert>
#include <cstring>
#include <utility>

namespace callgate {
namespace {

// Memory up to this size is kept from one partial line to the next.
constexpr size_t kBufferBytesKept = 4096;

// A line longer than this is worth making room for at once.
constexpr size_t kLongLine = size_t{128} << 10;

// Bytes up to and including the first LF; 0 where there is none.
size_t line_length(std::string_view bytes) {
    const void* feed = memchr(bytes.data(), '\n', bytes.size());
    return feed == nullptr ? 0 : static_cast<size_t>(static_cast<const char*>(feed) - bytes.data()) + 1;
}

}  // namespace

LineFramer::LineFramer(size_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) {
    assert(frame_bytes_max > 0);
}

void LineFramer::feed(std::string_view chunk, Handler& handler) {
    if (stopped_ && !deliver_pending(handler)) {
        buffer_.append(chunk);
        return;
    }
    if (!buffer_.empty()) complete_partial(chunk, handler);
    if (chunk.empty()) return;
    if (!stopped_) chunk.remove_prefix(deliver(chunk, handler));
    if (!chunk.empty()) buffer_.assign(chunk);
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
    delivered_ += deliver(std::string_view(buffer_).substr(delivered_), handler);
    if (delivered_ == buffer_.size()) {
        release();
    } else if (!stopped_ || delivered_ > buffer_.size() / 2) {
        // At most half of it moves, or it moves for the last time before its LF comes: linear in all.
        buffer_.erase(0, std::exchange(delivered_, 0));
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
        handler.oversize(buffer_);
        release();
        return;
    }
    if (buffer_.capacity() < kLongLine && buffer_.size() + wanted > kLongLine) buffer_.reserve(last_long_);
    buffer_.append(chunk.substr(0, wanted));
    chunk.remove_prefix(wanted);
    if (length == 0) return;
    if (buffer_.size() > kLongLine) last_long_ = buffer_.size();
    stopped_ = !handler.line(buffer_);
    release();
}

void LineFramer::release() {
    buffer_.clear();
    delivered_ = 0;
    if (buffer_.capacity() > kBufferBytesKept) buffer_.shrink_to_fit();
}

std::string_view LineFramer::rest() const {
    return std::string_view(buffer_).substr(delivered_);
}

void LineFramer::clear() {
    release();
    skipped_bytes_ = 0;
    stopped_ = false;
}

std::string LineFramer::take(std::string_view line) {
    if (line.data() != buffer_.data() || line.size() != buffer_.size()) return std::string(line);
    return std::exchange(buffer_, {});
}

size_t LineFramer::buffered_bytes() const {
    return buffer_.size() - delivered_;
}

}  // namespace callgate
