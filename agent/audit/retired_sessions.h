// RetiredSessions: keeps an AuditSession until the writer thread has passed every record that points to it.
//
// Records carry a plain pointer: counting references across threads for each message would cost more than the
// rest of queueing it. The last owner's release comes here instead, with the ring's position at that moment.
#pragma once
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "audit/byte_ring.h"
#include "audit/kept_sessions.h"
#include "audit/session_text.h"

namespace callgate {

class RetiredSessions {
  public:
    RetiredSessions(const ByteRing* ring, std::shared_ptr<KeptSessions> kept) : ring_(ring), kept_(std::move(kept)) {}

    void retire(std::unique_ptr<const AuditSession> session) {
        std::lock_guard lock(mutex_);
        if (ring_ != nullptr) sessions_.emplace_back(ring_->head(), std::move(session));
    }
    // The writer has taken everything before `position`.
    void release_before(uint64_t position) {
        std::lock_guard lock(mutex_);
        std::erase_if(sessions_, [&](const auto& entry) {
            if (entry.first > position) return false;
            kept_->remove(entry.second->place());
            return true;
        });
    }
    // No record is queued any more, and the ring goes away.
    void close() {
        std::lock_guard lock(mutex_);
        ring_ = nullptr;
        sessions_.clear();
    }

  private:
    std::mutex mutex_;
    const ByteRing* ring_;
    std::shared_ptr<KeptSessions> kept_;
    std::vector<std::pair<uint64_t, std::unique_ptr<const AuditSession>>> sessions_;
};

}  // namespace callgate
