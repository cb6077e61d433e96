// EventQueue: events on their way to the writer thread, from any thread. Each remembers how many bytes of
// message records were queued before it, which is its place among them.
#pragma once
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "audit/record_text.h"

namespace callgate {

struct QueuedEvent {
    uint64_t position = 0;  // of the message ring's head
    RecordId id;
    int64_t time_ns = 0;
    std::string type;
    std::shared_ptr<const AuditSession> session;  // may be null
    EventMembers members;
};

class EventQueue {
  public:
    // Events are few and small; beyond this they are counted as lost.
    static constexpr size_t kBytesMax = size_t{1} << 20;
    static constexpr uint64_t kNone = UINT64_MAX;

    // False where the queue is full. Sets the event's id and position.
    bool push(QueuedEvent event, const ByteRing& ring);
    // Position of the oldest event, kNone where there is none.
    uint64_t next_position() const { return next_position_.load(std::memory_order_seq_cst); }
    std::optional<QueuedEvent> pop();

  private:
    std::mutex mutex_;
    RecordIdMaker ids_;
    std::deque<QueuedEvent> events_;
    size_t bytes_ = 0;
    std::atomic<uint64_t> next_position_{kNone};
};

}  // namespace callgate
