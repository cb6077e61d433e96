// ByteRing: a bounded queue of byte records from one thread to one other, without locks, which may lie in memory that
// outlives both.
//
// A record lies in one piece and begins at a multiple of 8. Positions only grow; when the ring is found empty
// the writer goes back to its beginning, so that light traffic keeps using the same few pages.
//
//   std::byte* at = ring.reserve(40);   // null: full
//   fill it;  ring.commit(40);  ring.publish();       on the other thread: record = ring.front();  use it;  ring.pop();
//                                                     …and when what came of it is safe:  ring.release();
//
// Whenever the process is killed, the next one finds every record that was committed and not released: those that were
// published, and those that were not, which it decides on (decide()).
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace callgate {

class ByteRing {
  public:
    // In zeroed memory, or in that of a ring before, which goes on. kControlBytes of it are not for records; the rest is
    // a power of two.
    static constexpr size_t kControlBytes = 4096;
    explicit ByteRing(std::span<std::byte> memory);
    ByteRing(const ByteRing&) = delete;
    ByteRing& operator=(const ByteRing&) = delete;

    // --- producer ---
    std::byte* reserve(size_t bytes);
    void commit(size_t bytes);  // of the last reserve(), or fewer
    void publish();             // everything committed
    // Of each record that an earlier process has committed and not published: is it to be kept? Publishes those.
    void decide(const std::function<bool(std::span<const std::byte>)>& is_kept);

    // --- consumer ---
    std::span<const std::byte> front();  // empty where there is none
    void pop();
    void release();  // what was popped
    uint64_t position() const { return position_; }

    // --- any thread ---
    uint64_t head() const { return control_->head.load(std::memory_order_acquire); }
    uint64_t tail() const { return control_->tail.load(std::memory_order_acquire); }
    bool is_empty() const { return control_->published.load(std::memory_order_acquire) == tail(); }

  private:
    struct Header {
        uint32_t bytes;  // of the payload
        uint32_t step;   // to the next record
    };
    // On one cache line each: two threads write them.
    struct Control {
        alignas(64) std::atomic<uint64_t> head;
        std::atomic<uint64_t> published;
        alignas(64) std::atomic<uint64_t> tail;
    };
    static_assert(sizeof(Control) <= kControlBytes && std::atomic<uint64_t>::is_always_lock_free);
    static constexpr uint32_t kSkip = UINT32_MAX;  // in bytes: nothing here, go on behind it
    // Beyond this offset an empty ring starts again.
    static constexpr size_t kRestartBytes = size_t{256} << 10;
    // How often the producer looks whether it is: the consumer's position is another processor's cache line.
    static constexpr size_t kLookBytes = size_t{64} << 10;
    void write_header(uint64_t position, Header header);
    Header read_header(uint64_t position) const;
    std::span<const std::byte> payload(uint64_t position, const Header& header) const;

    const size_t capacity_;
    Control* const control_;
    std::byte* const memory_;
    uint64_t reserved_ = 0;   // producer: where the reserved record's header goes
    uint64_t seen_tail_ = 0;  // producer: room before it looks again
    uint64_t looked_at_ = 0;
    alignas(64) uint64_t position_ = 0;  // consumer: of the record at the front
};

}  // namespace callgate
