// ByteRing: a bounded queue of byte records from one thread to one other, without locks.
//
// A record lies in one piece and begins at a multiple of 8. Positions only grow; when the ring is found empty
// the writer goes back to its beginning, so that light traffic keeps using the same few pages.
//
//   std::byte* at = ring.reserve(40);   // null: full
//   fill it;  ring.commit(40);         on the other thread: record = ring.front();  use it;  ring.pop();
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace callgate {

class ByteRing {
  public:
    explicit ByteRing(size_t capacity);  // a power of two
    ~ByteRing();
    ByteRing(const ByteRing&) = delete;
    ByteRing& operator=(const ByteRing&) = delete;

    // --- producer ---
    std::byte* reserve(size_t bytes);
    void commit(size_t bytes);  // of the last reserve(), or fewer

    // --- consumer ---
    std::span<const std::byte> front();  // empty where there is none
    void pop();

    // --- any thread ---
    uint64_t head() const { return head_.load(std::memory_order_acquire); }
    uint64_t tail() const { return tail_.load(std::memory_order_acquire); }
    bool is_empty() const { return head() == tail(); }

  private:
    struct Header {
        uint32_t bytes;  // of the payload
        uint32_t step;   // to the next record
    };
    static constexpr uint32_t kSkip = UINT32_MAX;  // in bytes: nothing here, go on at the ring's beginning
    // Beyond this offset an empty ring starts again.
    static constexpr size_t kRestartBytes = size_t{256} << 10;
    // How often the producer looks whether it is: the consumer's position is another processor's cache line.
    static constexpr size_t kLookBytes = size_t{64} << 10;
    void write_header(uint64_t position, Header header);
    Header read_header(uint64_t position) const;

    const size_t capacity_;
    std::byte* const memory_;
    uint64_t reserved_ = 0;   // producer: where the reserved record's header goes
    uint64_t seen_tail_ = 0;  // producer: room before it looks again
    uint64_t looked_at_ = 0;
    alignas(64) std::atomic<uint64_t> head_{0};
    alignas(64) std::atomic<uint64_t> tail_{0};
};

}  // namespace callgate
