#include "audit/event_queue.h"

namespace callgate {
namespace {

size_t bytes_of(const QueuedEvent& event) {
    size_t bytes = sizeof(event) + event.type.size();
    for (const auto& [key, value] : event.members) bytes += key.size() + value.size() + sizeof(EventMembers::value_type);
    return bytes;
}

}  // namespace

bool EventQueue::push(QueuedEvent event, const ByteRing& ring) {
    const size_t bytes = bytes_of(event);
    std::lock_guard lock(mutex_);
    if (bytes_ + bytes > kBytesMax) return false;
    bytes_ += bytes;
    event.id = ids_.next(event.time_ns / 1'000'000);
    event.position = ring.head();
    events_.push_back(std::move(event));
    next_position_.store(events_.front().position, std::memory_order_seq_cst);
    return true;
}

std::optional<QueuedEvent> EventQueue::pop() {
    std::lock_guard lock(mutex_);
    if (events_.empty()) return std::nullopt;
    QueuedEvent event = std::move(events_.front());
    events_.pop_front();
    bytes_ -= bytes_of(event);
    next_position_.store(events_.empty() ? kNone : events_.front().position, std::memory_order_seq_cst);
    return event;
}

}  // namespace callgate
