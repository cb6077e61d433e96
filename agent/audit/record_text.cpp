#include "audit/record_text.h"

#include <time.h>

#include <cstdio>

#include "audit/json_members.h"
#include "jsonrpc/refusal.h"
#include "policy/amount.h"

namespace callgate {
namespace {

std::string_view kind_name(MessageKind kind) {
    switch (kind) {
        case MessageKind::invalid: return "invalid";
        case MessageKind::request: return "request";
        case MessageKind::notification: return "notification";
        case MessageKind::response: return "response";
    }
    return "";
}

void append_arguments(std::string& out, const QueuedMessage& message) {
    if (message.has_hash) {
        out += ",\"argument_keys\":[";
        for (size_t i = 0; i < message.keys_count; ++i) {
            if (i > 0) out += ',';
            append_json_text(out, message.keys[i]);
        }
        out += ']';
        if (message.argument_keys_total > message.keys_count) {
            append_member(out, ",\"argument_keys_total\":", int64_t{message.argument_keys_total});
        }
        char hex[2 * ArgumentsHash::kBytes];
        for (size_t i = 0; i < ArgumentsHash::kBytes; ++i) {
            constexpr char kDigits[] = "0123456789abcdef";
            hex[2 * i] = kDigits[static_cast<uint8_t>(message.hash[i]) >> 4];
            hex[2 * i + 1] = kDigits[static_cast<uint8_t>(message.hash[i]) & 15];
        }
        out += ",\"arguments_hash\":\"";
        out.append(hex, sizeof(hex));
        out += '"';
    }
}

void append_values(std::string& out, const QueuedMessage& message) {
    if (message.values_bytes == 0) return;
    if (message.values.empty()) {
        append_member(out, ",\"values_too_long\":", int64_t{message.values_bytes});
        return;
    }
    const std::string_view method = message.text(QueuedText::method);
    out += method == "tools/call" || method == "prompts/get" ? ",\"arguments\":" : ",\"params\":";
    append_json_value(out, message.values);
}

void append_quantity(std::string& out, int64_t quantity, int64_t scale) {
    out += scale == kAmountScale ? decimal_text(quantity) : std::to_string(quantity);
}

void append_counters(std::string& out, const QueuedMessage& message) {
    if (message.counters_count == 0) return;
    out += ",\"counters\":[";
    for (size_t i = 0; i < message.counters_count; ++i) {
        const QueuedCounter& counter = message.counters[i];
        out += i > 0 ? ",{\"name\":" : "{\"name\":";
        append_json_text(out, counter.name);
        append_quantity(out.append(",\"count\":"), counter.count, counter.scale);
        append_quantity(out.append(",\"max\":"), counter.max, counter.scale);
        if (counter.scale != 0) append_member(out, ",\"window_start\":", counter.window_start_s);
        out += '}';
    }
    out += ']';
}

void append_decision(std::string& out, const QueuedMessage& message) {
    append_member(out, ",\"decision\":", name(message.decision));
    append_member(out, ",\"rule\":", message.text(QueuedText::rule));
    append_member(out, ",\"reason\":", message.text(QueuedText::reason));
    if (message.code != 0) {
        append_member(out, ",\"code\":", int64_t{message.code});
    } else if (message.decision == Decision::refused && message.refusal != Refusal::none) {
        append_member(out, ",\"code\":", int64_t{json_rpc_code(message.refusal)});
    }
    if (message.has_retry) append_member(out, ",\"retry_after_ms\":", message.retry_after_ms);
    append_member(out, ",\"approval\":", message.text(QueuedText::approval));
    if (message.refusal != Refusal::none) {
        append_member(out, ",\"refusal\":", name(message.refusal));
        append_member(out, ",\"refusal_offset\":", int64_t{message.refusal_offset});
    }
}

void append_answer(std::string& out, const QueuedMessage& message) {
    append_member(out, ",\"answers\":", message.text(QueuedText::answers));
    if (message.kind != MessageKind::response) return;
    out += message.is_error        ? ",\"outcome\":\"error\""
           : message.is_tool_error ? ",\"outcome\":\"tool_error\""
                                   : ",\"outcome\":\"ok\"";
    if (message.is_error) append_member(out, ",\"error_code\":", message.error_code);
    if (message.latency_ns >= 0) append_member(out, ",\"latency_ns\":", message.latency_ns);
}

}  // namespace

std::string_view name(Decision decision) {
    switch (decision) {
        case Decision::allowed: return "allow";
        case Decision::denied: return "deny";
        case Decision::refused: return "refuse";
        case Decision::would_deny: return "would_deny";
        case Decision::passed: return "pass";
    }
    return "";
}

void RecordText::append_opening(std::string& out, int64_t time_ns, const RecordId& id, std::string_view type) {
    constexpr int64_t kSecond = 1'000'000'000;
    if (time_ns / kSecond != second_) {
        second_ = time_ns / kSecond;
        const time_t second = second_;
        struct tm utc;
        gmtime_r(&second, &utc);
        strftime(second_text_, sizeof(second_text_), "%Y-%m-%dT%H:%M:%S.", &utc);
    }
    char fraction[] = "000000000Z\",\"id\":\"";
    int64_t rest = time_ns % kSecond;
    for (int i = 8; i >= 0; --i, rest /= 10) fraction[i] = static_cast<char>('0' + rest % 10);
    out += "{\"time\":\"";
    out += second_text_;
    out += fraction;
    out += id.view();
    out += "\",\"type\":";
    append_json_text(out, type);
}

void RecordText::append_message(std::string& out, const QueuedMessage& message) {
    append_opening(out, message.time_ns, message.id, "message");
    if (message.session != nullptr) out += message.session->name_members();
    out += message.direction == Direction::client_to_server ? ",\"direction\":\"c2s\"" : ",\"direction\":\"s2c\"";
    if (message.has_message) append_member(out, ",\"kind\":", kind_name(message.kind));
    append_member(out, ",\"method\":", message.text(QueuedText::method));
    append_member(out, ",\"tool\":", message.text(QueuedText::tool));
    append_member(out, ",\"name\":", message.text(QueuedText::name));
    append_member(out, ",\"uri\":", message.text(QueuedText::uri));
    if (!message.text(QueuedText::rpc_id).empty()) {
        out += ",\"rpc_id\":";
        append_json_value(out, message.text(QueuedText::rpc_id));
    }
    append_decision(out, message);
    append_member(out, ",\"client_name\":", message.text(QueuedText::client_name));
    append_member(out, ",\"client_version\":", message.text(QueuedText::client_version));
    append_arguments(out, message);
    append_values(out, message);
    append_member(out, ",\"bytes\":", static_cast<int64_t>(message.bytes));
    append_member(out, ",\"queue_ns\":", message.queue_ns);
    append_member(out, ",\"judge_ns\":", message.judge_ns);
    append_counters(out, message);
    append_answer(out, message);
    if (message.session != nullptr) out += message.session->fact_members();
    out += "}\n";
}

void RecordText::append_event(std::string& out, std::string_view type, const RecordId& id, int64_t time_ns,
                              const AuditSession* session, const EventMembers& members) {
    append_opening(out, time_ns, id, type);
    if (session != nullptr) out += session->name_members();
    for (const auto& [key, value] : members) {
        out += ',';
        append_json_text(out, key);
        out += ':';
        append_json_value(out, value);
    }
    if (session != nullptr) out += session->fact_members();
    out += "}\n";
}

void RecordText::append_gap(std::string& out, const RecordId& id, int64_t time_ns, uint64_t lost, std::string_view cause) {
    append_opening(out, time_ns, id, "gap");
    append_member(out, ",\"lost\":", static_cast<int64_t>(lost));
    append_member(out, ",\"cause\":", cause);
    out += "}\n";
}

}  // namespace callgate
