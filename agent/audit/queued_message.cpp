#include "audit/queued_message.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <type_traits>

namespace callgate {
namespace {

struct PackedCounter {
    int64_t count, max, window_start_s;
    int64_t scale;  // 0: calls in flight
};

// The head of a packed record. Every cache line of the ring that is written costs the data path, so what most
// records lack is kept apart. Without initialisers: it is made in the ring's memory.
struct PackedHead {
    const AuditSession* session;  // of this process
    uint32_t session_place, number;
    int64_t time_ns, queue_ns, judge_ns;
    uint64_t bytes;
    std::array<char, 26> id;
    Direction direction;
    Decision decision;
    MessageKind kind;
    uint8_t flags;  // kHas…
    uint8_t counters_count, keys_count;
    uint16_t text_bytes[kQueuedTexts];
};
struct PackedRare {
    int64_t latency_ns, retry_after_ms, error_code;
    uint32_t refusal_offset, argument_keys_total, lost_before;
    int32_t code;
    Refusal refusal;
    bool has_retry, is_error, is_tool_error;
};
constexpr uint8_t kHasMessage = 1, kHasHash = 2, kHasRare = 4, kHasValues = 8;
static_assert(std::is_trivially_default_constructible_v<PackedHead> && alignof(PackedHead) == 8);
static_assert(sizeof(PackedHead) % 8 == 0 && sizeof(PackedRare) % 8 == 0);
static_assert(kAuditTextBytesMax <= UINT16_MAX && kAuditKeyBytesMax <= UINT16_MAX && kAuditKeysMax <= UINT8_MAX);

using Texts = std::array<std::string_view, kQueuedTexts>;

std::string_view& at(Texts& texts, QueuedText which) { return texts[static_cast<size_t>(which)]; }

Texts texts_of(const MessageRecord& record) {
    Texts texts;
    if (const Message* message = record.message) {
        const bool is_response = message->kind == MessageKind::response;
        at(texts, QueuedText::method) = is_response ? record.request_method : message->method;
        if (is_response) {
            at(texts, QueuedText::tool) = record.request_tool;
        } else {
            at(texts, message->method == "tools/call" ? QueuedText::tool : QueuedText::name) = message->name;
        }
        at(texts, QueuedText::uri) = message->uri;
        if (message->has_client_info) {
            at(texts, QueuedText::client_name) = message->client_name;
            at(texts, QueuedText::client_version) = message->client_version;
        }
        // Cut, it would no longer be JSON.
        if (message->id_token.size() <= kAuditTextBytesMax) at(texts, QueuedText::rpc_id) = message->id_token;
    }
    if (record.verdict != nullptr) {
        at(texts, QueuedText::rule) = record.verdict->rule;
        at(texts, QueuedText::reason) = record.verdict->reason;
        const Verdict& verdict = *record.verdict;
        at(texts, QueuedText::approval) = verdict.approvals.empty() ? verdict.approval.view() : verdict.approvals.front().view();
    }
    at(texts, QueuedText::answers) = record.request_record_id;
    for (std::string_view& text : texts) text = text.substr(0, kAuditTextBytesMax);
    return texts;
}

// Almost every text is shorter than a call to memcpy is long.
std::byte* copy(std::byte* to, std::string_view text) {
    const char* from = text.data();
    const size_t size = text.size();
    if (size > 32) {
        memcpy(to, from, size);
    } else if (size >= 8) {
        for (size_t i = 0; i + 8 <= size; i += 8) memcpy(to + i, from + i, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    } else {
        for (size_t i = 0; i < size; ++i) to[i] = static_cast<std::byte>(from[i]);
    }
    return to + size;
}

template <typename T>
std::byte* copy_value(std::byte* to, const T& value) {
    memcpy(to, &value, sizeof(value));
    return to + sizeof(value);
}

template <typename T>
const std::byte* take_value(const std::byte* from, T& value) {
    memcpy(&value, from, sizeof(value));
    return from + sizeof(value);
}

// What is not as it is in an ordinary allowed request. False where everything is.
bool fill_rare(PackedRare& rare, const QueuedHeader& header, const MessageRecord& record, size_t keys_kept) {
    static const Message kNone;
    const Message& message = record.message != nullptr ? *record.message : kNone;
    const Verdict* verdict = record.verdict;
    const bool has_retry = verdict != nullptr && verdict->retry_after_ms.has_value();
    const int32_t code = verdict != nullptr ? verdict->code : 0;
    if (record.latency_ns < 0 && !has_retry && code == 0 && message.refusal == Refusal::none && !message.is_error &&
        !message.is_tool_error && header.lost_before == 0 && message.argument_keys_total <= keys_kept) {
        return false;
    }
    rare = PackedRare{record.latency_ns,
                      has_retry ? *verdict->retry_after_ms : 0,
                      message.error_code,
                      message.refusal_offset,
                      message.argument_keys_total,
                      header.lost_before,
                      code,
                      message.refusal,
                      has_retry,
                      message.is_error,
                      message.is_tool_error};
    return true;
}

// What conditions call "args": see record.h. Nothing of what was refused: it may be no JSON.
std::string_view values_of(const QueuedHeader& header, const MessageRecord& record) {
    if (!header.has_values || record.message == nullptr) return {};
    const Message& message = *record.message;
    if (message.kind != MessageKind::request && message.kind != MessageKind::notification) return {};
    return message.method == "tools/call" || message.method == "prompts/get" ? message.arguments : message.params;
}

size_t size_of(const Texts& texts, std::span<const CounterUse> counters, std::span<const std::string_view> keys, uint8_t flags) {
    size_t size =
        sizeof(PackedHead) + counters.size() * (sizeof(PackedCounter) + sizeof(uint16_t)) + keys.size() * sizeof(uint16_t);
    if (flags & kHasRare) size += sizeof(PackedRare);
    if (flags & kHasHash) size += sizeof(ArgumentsHash::Digest);
    for (std::string_view text : texts) size += text.size();
    for (const CounterUse& use : counters) size += std::min(use.counter.size(), kAuditKeyBytesMax);
    for (std::string_view key : keys) size += std::min(key.size(), kAuditKeyBytesMax);
    return size;
}

// A text that carries its length in front.
std::byte* copy_short(std::byte* to, std::string_view text) {
    text = text.substr(0, kAuditKeyBytesMax);
    return copy(copy_value(to, static_cast<uint16_t>(text.size())), text);
}

const std::byte* take(const std::byte* from, size_t bytes, std::string_view& text) {
    text = std::string_view(reinterpret_cast<const char*>(from), bytes);
    return from + bytes;
}

const std::byte* take_short(const std::byte* from, std::string_view& text) {
    uint16_t bytes = 0;
    from = take_value(from, bytes);
    return take(from, bytes, text);
}

}  // namespace

bool queue_message(ByteRing& ring, const QueuedHeader& header, const MessageRecord& record, const ArgumentsHash::Digest* hash) {
    const Texts texts = texts_of(record);
    std::span<const CounterUse> counters;
    if (record.verdict != nullptr) counters = record.verdict->charged;
    counters = counters.first(std::min(counters.size(), kAuditCountersMax));
    std::span<const std::string_view> keys;
    if (record.message != nullptr) keys = record.message->argument_keys;
    keys = keys.first(std::min(keys.size(), kAuditKeysMax));
    PackedRare rare;
    uint8_t flags = fill_rare(rare, header, record, keys.size()) ? kHasRare : 0;
    if (record.message != nullptr) flags |= kHasMessage;
    if (hash != nullptr) flags |= kHasHash;
    const std::string_view values = values_of(header, record);
    if (!values.empty()) flags |= kHasValues;
    const std::string_view kept_values = values.size() <= kAuditValuesBytesMax ? values : std::string_view();

    size_t size = size_of(texts, counters, keys, flags);
    if (!values.empty()) size += sizeof(uint32_t) + kept_values.size();
    std::byte* to = ring.reserve(size);
    if (to == nullptr) return false;
    PackedHead& head = *new (to) PackedHead;
    head.session = header.session;
    head.session_place = header.session ? header.session->place() : 0;
    head.number = record.number;
    head.time_ns = header.time_ns;
    head.queue_ns = record.queue_ns;
    head.judge_ns = record.judge_ns;
    head.bytes = record.bytes;
    head.id = header.id.text;
    head.direction = record.direction;
    head.decision = record.decision;
    head.kind = record.message != nullptr ? record.message->kind : MessageKind::invalid;
    head.flags = flags;
    head.counters_count = static_cast<uint8_t>(counters.size());
    head.keys_count = static_cast<uint8_t>(keys.size());
    for (size_t i = 0; i < texts.size(); ++i) head.text_bytes[i] = static_cast<uint16_t>(texts[i].size());

    to += sizeof(PackedHead);
    if (flags & kHasRare) to = copy_value(to, rare);
    if (flags & kHasHash) to = copy_value(to, *hash);
    for (std::string_view text : texts) to = copy(to, text);
    for (const CounterUse& use : counters) {
        to = copy_value(to, PackedCounter{use.count_after, use.max, use.window_start_s, use.is_in_flight ? 0 : use.scale});
        to = copy_short(to, use.counter);
    }
    for (std::string_view key : keys) to = copy_short(to, key);
    if (!values.empty()) to = copy(copy_value(to, static_cast<uint32_t>(values.size())), kept_values);
    ring.commit(size);
    return true;
}

QueuedMessage QueuedMessage::read(std::span<const std::byte> packed) {
    PackedHead head;
    const std::byte* from = take_value(packed.data(), head);
    QueuedMessage message;
    message.session = head.session;
    message.session_place = head.session_place;
    message.number = head.number;
    message.id.text = head.id;
    message.direction = head.direction;
    message.decision = head.decision;
    message.kind = head.kind;
    message.has_message = (head.flags & kHasMessage) != 0;
    message.has_hash = (head.flags & kHasHash) != 0;
    message.time_ns = head.time_ns;
    message.queue_ns = head.queue_ns;
    message.judge_ns = head.judge_ns;
    message.bytes = head.bytes;
    message.counters_count = head.counters_count;
    message.keys_count = head.keys_count;
    if (head.flags & kHasRare) {
        PackedRare rare;
        from = take_value(from, rare);
        message.latency_ns = rare.latency_ns;
        message.retry_after_ms = rare.retry_after_ms;
        message.error_code = rare.error_code;
        message.refusal_offset = rare.refusal_offset;
        message.argument_keys_total = rare.argument_keys_total;
        message.lost_before = rare.lost_before;
        message.code = rare.code;
        message.refusal = rare.refusal;
        message.has_retry = rare.has_retry;
        message.is_error = rare.is_error;
        message.is_tool_error = rare.is_tool_error;
    }
    if (message.has_hash) from = take_value(from, message.hash);
    for (size_t i = 0; i < kQueuedTexts; ++i) from = take(from, head.text_bytes[i], message.texts[i]);
    for (size_t i = 0; i < head.counters_count; ++i) {
        PackedCounter packed_counter;
        from = take_value(from, packed_counter);
        QueuedCounter& counter = message.counters[i];
        counter = {{}, packed_counter.count, packed_counter.max, packed_counter.window_start_s, packed_counter.scale};
        from = take_short(from, counter.name);
    }
    for (size_t i = 0; i < head.keys_count; ++i) from = take_short(from, message.keys[i]);
    if (head.flags & kHasValues) {
        from = take_value(from, message.values_bytes);
        if (message.values_bytes <= kAuditValuesBytesMax) from = take(from, message.values_bytes, message.values);
    }
    return message;
}

}  // namespace callgate
