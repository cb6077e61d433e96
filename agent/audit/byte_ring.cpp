#include "audit/byte_ring.h"

#include <sys/mman.h>

#include <bit>
#include <cassert>
#include <cstring>

namespace callgate {
namespace {

size_t rounded(size_t bytes) {
    return (bytes + 7) & ~size_t{7};
}

std::byte* map_memory(size_t bytes) {
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(memory != MAP_FAILED);
    return static_cast<std::byte*>(memory);
}

}  // namespace

ByteRing::ByteRing(size_t capacity) : capacity_(capacity), memory_(map_memory(capacity)) {
    assert(std::has_single_bit(capacity) && capacity >= 64);
}

ByteRing::~ByteRing() {
    ::munmap(memory_, capacity_);
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
    const uint64_t head = head_.load(std::memory_order_relaxed);
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
    head_.store(reserved_ + step, std::memory_order_release);
}

std::span<const std::byte> ByteRing::front() {
    uint64_t tail = tail_.load(std::memory_order_relaxed);
    const uint64_t head = head_.load(std::memory_order_acquire);
    if (tail == head) return {};
    Header header = read_header(tail);
    if (header.bytes == kSkip) {
        tail += header.step;
        tail_.store(tail, std::memory_order_release);
        header = read_header(tail);
    }
    return {memory_ + (tail & (capacity_ - 1)) + sizeof(Header), header.bytes};
}

void ByteRing::pop() {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    tail_.store(tail + read_header(tail).step, std::memory_order_release);
}

}  // namespace callgate
