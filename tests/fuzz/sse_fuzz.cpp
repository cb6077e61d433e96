// Properties of SseReader: every byte is in one item; items do not depend on the chunks; the events are those of a
// plain reading of WHATWG HTML §9.2.6; an event written with its own data is the same event; something written at a
// boundary is one more event and changes no other. The first input byte is a limit for a second reader, the rest is the
// stream.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/sse_reader.h"
#include "property.h"
#include "sse_trace.h"

namespace {

using callgate::SseReader;
using callgate::http_test::SseItem;
using callgate::http_test::SseTrace;
using callgate::http_test::trace_events;

constexpr const char* kTarget = "sse";
constexpr size_t kUnlimited = size_t{1} << 30;

struct Event {
    std::string name, data;
    std::optional<std::string> id;
    bool operator==(const Event&) const = default;
};

std::vector<std::string> lines_of(std::string_view stream) {
    std::vector<std::string> lines;
    std::string line;
    for (size_t i = 0; i < stream.size(); ++i) {
        if (stream[i] != '\r' && stream[i] != '\n') {
            line.push_back(stream[i]);
            continue;
        }
        if (stream[i] == '\r' && i + 1 < stream.size() && stream[i + 1] == '\n') ++i;
        lines.push_back(line);
        line.clear();
    }
    return lines;
}

std::vector<Event> reference(std::string_view stream) {
    if (stream.starts_with("\xef\xbb\xbf")) stream.remove_prefix(3);
    std::vector<Event> events;
    Event event;
    bool has_data = false;
    for (const std::string& line : lines_of(stream)) {
        if (line.empty()) {
            if (has_data) {
                event.data.pop_back();
                if (event.name.empty()) event.name = "message";
                events.push_back(event);
            }
            event = {};
            has_data = false;
            continue;
        }
        const size_t colon = line.find(':');
        const std::string name = line.substr(0, colon);
        std::string value = colon == std::string::npos ? "" : line.substr(colon + 1);
        if (!value.empty() && value[0] == ' ') value.erase(0, 1);
        if (name == "data") {
            has_data = true;
            event.data += value + "\n";
        } else if (name == "event") {
            event.name = value;
        } else if (name == "id" && value.find('\0') == std::string::npos) {
            event.id = value;
        }
    }
    return events;
}

std::vector<Event> events_of(const std::vector<SseItem>& items) {
    std::vector<Event> events;
    for (const SseItem& item : items) {
        if (item.kind != SseItem::Kind::event) continue;
        events.push_back({item.name, item.data, item.has_id ? std::optional<std::string>(item.id) : std::nullopt});
    }
    return events;
}

SseTrace read(std::string_view stream, size_t limit, size_t chunk_bytes) {
    SseReader reader(limit);
    SseTrace trace = trace_events(reader, stream, chunk_bytes);
    hold(trace.raw() + std::string(reader.rest()) == stream, kTarget, "a byte was lost");
    hold(reader.rest().size() <= limit, kTarget, "more than the limit is buffered");
    hold(reader.at_boundary() == (reader.rest().empty() && trace.open_oversize.empty()), kTarget, "boundary");
    return trace;
}

void write_with_own_data(const SseItem& item) {
    std::string out = "\n";  // so that a byte order mark is not the stream's first
    callgate::append_sse_with_data(out, {item.raw, {}, {}, {}}, item.data);
#ifdef CANARY
    if (item.data.size() == 5 && item.has_id && item.name != "message") out.erase(1, 1);
#endif
    const SseTrace again = read(out, kUnlimited, out.size());
    hold(events_of(again.items).size() == 1, kTarget, "one event stays one event");
    hold(events_of(again.items) == events_of({item}), kTarget, "an event with its own data is the same");
}

// Our event after the first `count` items.
void inject(const SseTrace& trace, size_t count, std::string_view stream) {
    size_t at = 0;
    std::vector<Event> expected = reference(stream);
    size_t before = 0;
    for (size_t i = 0; i < count; ++i) {
        at += trace.items[i].raw.size();
        before += trace.items[i].kind == SseItem::Kind::event ? 1 : 0;
    }
    std::string injected(stream.substr(0, at));
    callgate::append_sse_message(injected, "{}");
    injected.append(stream.substr(at));
    expected.insert(expected.begin() + static_cast<ptrdiff_t>(before), Event{"message", "{}", {}});
    hold(reference(injected) == expected, kTarget, "an event at a boundary changes another");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const size_t limit = 1 + data[0];
    const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
    const SseTrace trace = read(stream, kUnlimited, size), limited = read(stream, limit, size);
    hold(events_of(trace.items) == reference(stream), kTarget, "the events are others");
    for (const size_t chunk_bytes : {size_t{1}, size_t{3}, size_t{7}, 1 + size / 2}) {
        hold(read(stream, kUnlimited, chunk_bytes).items == trace.items, kTarget, "the chunks change it");
        hold(read(stream, limit, chunk_bytes).items == limited.items, kTarget, "the chunks change it at the limit");
    }
    for (size_t i = 0; i < limited.items.size(); ++i) {
        const bool over = trace.items[i].raw.size() > limit;
        hold(over ? limited.items[i].kind == SseItem::Kind::oversize && limited.items[i].raw == trace.items[i].raw
                  : limited.items[i] == trace.items[i],
             kTarget, "the limit changes more than what is over it");
    }
    for (const SseItem& item : trace.items) {
        if (item.kind == SseItem::Kind::event) write_with_own_data(item);
    }
    for (const size_t count : {size_t{1}, trace.items.size() / 2, trace.items.size()}) {
        if (count > 0 && count <= trace.items.size()) inject(trace, count, stream);
    }
    return 0;
}
