// QueuedMessage: a message record on its way from the data path to the writer thread, packed into one piece
// of a ByteRing: a fixed head, then counters, key lengths and the bytes of the strings.
//
//   queue_message(ring, head, record, hash)   on the data path: copies; false where the ring is full
//   QueuedMessage::read(ring.front())         on the writer's: views into the ring, valid until pop()
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "audit/arguments_hash.h"
#include "audit/byte_ring.h"
#include "audit/record.h"
#include "audit/record_id.h"
#include "audit/session_text.h"

namespace callgate {

// What a record's strings are, in the order of their bytes.
enum class QueuedText : uint8_t { method, tool, name, uri, rpc_id, rule, reason, answers, client_name, client_version, approval };
inline constexpr size_t kQueuedTexts = 11;

struct QueuedCounter {
    std::string_view name;  // lives as long as the policy: copied before it is read elsewhere
    int64_t count = 0, max = 0, window_start_s = 0;
    int64_t scale = 1;  // count and max are this many times what is shown; 0: calls in flight, which have no window
};

struct QueuedMessage {
    const AuditSession* session = nullptr;
    uint32_t session_place = 0;  // in KeptSessions
    uint32_t number = 0;
    RecordId id;
    Direction direction = Direction::client_to_server;
    Decision decision = Decision::allowed;
    MessageKind kind = MessageKind::invalid;
    Refusal refusal = Refusal::none;
    bool has_message = false, has_hash = false, has_retry = false;
    bool is_error = false, is_tool_error = false;
    uint32_t refusal_offset = 0, argument_keys_total = 0;
    uint32_t lost_before = 0;  // records that found the ring full just before this one
    int32_t code = 0;
    int64_t time_ns = 0, queue_ns = 0, judge_ns = 0, latency_ns = -1, retry_after_ms = 0, error_code = 0;
    uint64_t bytes = 0;
    ArgumentsHash::Digest hash{};
    std::array<std::string_view, kQueuedTexts> texts;
    uint32_t values_bytes = 0;  // of the arguments or params whose value is to be written; 0: none
    std::string_view values;    // "" where they are too long
    uint32_t counters_count = 0, keys_count = 0;
    std::array<QueuedCounter, kAuditCountersMax> counters;
    std::array<std::string_view, kAuditKeysMax> keys;

    std::string_view text(QueuedText which) const { return texts[static_cast<size_t>(which)]; }
    static QueuedMessage read(std::span<const std::byte> packed);
};

struct QueuedHeader {
    const AuditSession* session = nullptr;
    RecordId id;
    int64_t time_ns = 0;
    uint32_t lost_before = 0;
    bool has_values = false;  // of arguments their values are written, too
};

// `hash` may be null where the message has no arguments.
bool queue_message(ByteRing& ring, const QueuedHeader& header, const MessageRecord& record, const ArgumentsHash::Digest* hash);

}  // namespace callgate
