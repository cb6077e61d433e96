// The items of an event stream in one list, for comparison.
#pragma once
#include <string>
#include <vector>

#include "http/sse_reader.h"

namespace callgate::http_test {

struct SseItem {
    enum class Kind { event, other, oversize };
    Kind kind;
    std::string raw, name, data, id;
    bool has_id = false;
    bool operator==(const SseItem&) const = default;
};

struct SseTrace final : SseReader::Handler {
    void event(const SseEvent& event) override {
        items.push_back({SseItem::Kind::event, std::string(event.raw), std::string(event.name), std::string(event.data),
                         std::string(event.id.value_or("")), event.id.has_value()});
    }
    void other(std::string_view raw) override { items.push_back({SseItem::Kind::other, std::string(raw), "", "", ""}); }
    void oversize(std::string_view piece) override { open_oversize += piece; }
    void oversize_end() override {
        items.push_back({SseItem::Kind::oversize, open_oversize, "", "", ""});
        open_oversize.clear();
    }
    std::string raw() const {
        std::string all;
        for (const SseItem& item : items) all += item.raw;
        return all + open_oversize;
    }
    std::vector<SseItem> items;
    std::string open_oversize;
};

inline SseTrace trace_events(SseReader& reader, std::string_view stream, size_t chunk_bytes) {
    SseTrace trace;
    for (size_t at = 0; at < stream.size(); at += chunk_bytes) reader.feed(std::string(stream.substr(at, chunk_bytes)), trace);
    return trace;
}

}  // namespace callgate::http_test
