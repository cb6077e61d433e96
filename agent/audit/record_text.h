// RecordText: writes records as JSON lines. On the writer thread; keeps the current second's text between
// records.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/queued_message.h"

namespace callgate {

// Members of an event: name and raw JSON value, in order.
using EventMembers = std::vector<std::pair<std::string, std::string>>;

class RecordText {
  public:
    // Each appends one line, LF included.
    void append_message(std::string& out, const QueuedMessage& message);
    void append_event(std::string& out, std::string_view type, const RecordId& id, int64_t time_ns, const AuditSession* session,
                      const EventMembers& members);
    void append_gap(std::string& out, const RecordId& id, int64_t time_ns, uint64_t lost, std::string_view cause);

  private:
    void append_opening(std::string& out, int64_t time_ns, const RecordId& id, std::string_view type);
    int64_t second_ = -1;
    char second_text_[32] = {};  // "2026-11-03T08:15:30."
};

}  // namespace callgate
