#include "audit/byte_ring.h"

#include <bit>
#include <cassert>
#include <cstring>

namespace callgate {
namespace {

size_t rounded(size_t bytes) { return (bytes + 7) & ~size_t{7}; }

}  // namespace

ByteRing::ByteRing(std::span<std::byte> memory)
    : capacity_(memory.size() - kControlBytes),
      control_(reinterpret_cast<Control*>(memory.data())),
      memory_(memory.data() + kControlBytes),
      seen_tail_(control_->tail),
      position_(control_->tail) {
    assert(std::has_single_bit(capacity_) && capacity_ >= 64);
}

void ByteRing::write_header(uint64_t position, Header header) {
    memcpy(memory_ + (position & (capacity_ - 1)), &header, sizeof(header));
}

ByteRing::Header ByteRing::read_header(uint64_t position) const {
    Header header;
    memcpy(&header, memory_ + (position & (capacity_ - 1)), sizeof(header));
    return header;
}

std::byte* ByteRing::reserve(size_t bytes) {
    const uint64_t head = control_->head.load(std::memory_order_relaxed);
    const size_t step = sizeof(Header) + rounded(bytes);
    const size_t offset = head & (capacity_ - 1);
    size_t skipped = 0;
    if (offset + step > capacity_) skipped = capacity_ - offset;
    if (offset > kRestartBytes && head / kLookBytes != looked_at_) {
        looked_at_ = head / kLookBytes;
        seen_tail_ = tail();
        if (seen_tail_ == head) skipped = capacity_ - offset;
    }
    if (head + skipped + step - seen_tail_ > capacity_) {
        seen_tail_ = tail();
        if (head + skipped + step - seen_tail_ > capacity_) return nullptr;
    }
    if (skipped > 0) write_header(head, Header{kSkip, static_cast<uint32_t>(skipped)});
    reserved_ = head + skipped;
    return memory_ + (reserved_ & (capacity_ - 1)) + sizeof(Header);
}

void ByteRing::commit(size_t bytes) {
    const size_t step = sizeof(Header) + rounded(bytes);
    write_header(reserved_, Header{static_cast<uint32_t>(bytes), static_cast<uint32_t>(step)});
    control_->head.store(reserved_ + step, std::memory_order_release);
}

void ByteRing::publish() { control_->published.store(control_->head.load(std::memory_order_relaxed), std::memory_order_release); }

void ByteRing::decide(const std::function<bool(std::span<const std::byte>)>& is_kept) {
    for (uint64_t at = control_->published; at != control_->head;) {
        const Header header = read_header(at);
        if (header.bytes != kSkip && !is_kept(payload(at, header))) write_header(at, Header{kSkip, header.step});
        at += header.step;
    }
    publish();
}

std::span<const std::byte> ByteRing::payload(uint64_t position, const Header& header) const {
    return {memory_ + (position & (capacity_ - 1)) + sizeof(Header), header.bytes};
}

std::span<const std::byte> ByteRing::front() {
    const uint64_t end = control_->published.load(std::memory_order_acquire);
    while (position_ != end) {
        const Header header = read_header(position_);
        if (header.bytes != kSkip) return payload(position_, header);
        position_ += header.step;
    }
    return {};
}

void ByteRing::pop() { position_ += read_header(position_).step; }

void ByteRing::release() { control_->tail.store(position_, std::memory_order_release); }

}  // namespace callgate
