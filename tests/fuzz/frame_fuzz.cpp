// Property: the events of LineFramer do not depend on the chunks, nor on stops, and no byte is lost.
// The first two input bytes choose the frame limit and the chunk sizes; the rest is the stream.
#include <string>
#include <string_view>
#include <vector>

#include "frame/line_framer.h"
#include "property.h"

namespace {

using callgate::LineFramer;

struct Recorder final : LineFramer::Handler {
    bool line(std::string_view bytes) override {
        events.push_back("line " + std::string(bytes));
        seen += bytes.size();
        return !stops || events.size() % 3 != 0;
    }
    void oversize(std::string_view head) override { events.push_back("oversize " + std::string(head)); }
    void skipped(size_t bytes) override {
        events.push_back("skipped " + std::to_string(bytes));
        seen += bytes;
    }
    std::vector<std::string> events;
    size_t seen = 0;
    bool stops = false;
};

struct Run {
    std::vector<std::string> events;
    std::string rest;
    bool operator==(const Run&) const = default;
};

Run run(std::string_view stream, size_t limit, size_t chunk_bytes, bool stops) {
    LineFramer framer(limit);
    Recorder recorder;
    recorder.stops = stops;
    for (size_t at = 0; at < stream.size(); at += chunk_bytes) {
        std::string chunk(stream.substr(at, chunk_bytes));
#ifdef CANARY
        if (chunk_bytes == 1 && chunk == "\n" && recorder.events.size() == 2) chunk = " ";
#endif
        framer.feed(chunk, recorder);
    }
    if (stops) {
        for (size_t before = ~size_t{0}; before != recorder.events.size();) {
            before = recorder.events.size();
            framer.resume(recorder);
        }
    }
    const bool in_oversize_line = !recorder.events.empty() && recorder.events.back().rfind("oversize", 0) == 0;
    hold(in_oversize_line || recorder.seen + framer.rest().size() == stream.size(), "frame", "a byte was lost");
    hold(framer.rest().size() <= limit, "frame", "more than the limit is buffered");
    return {recorder.events, std::string(framer.rest())};
}

// What the header promises, said in the simplest way.
Run reference(std::string_view stream, size_t limit) {
    Run result;
    while (!stream.empty()) {
        const size_t feed = stream.find('\n');
        const bool whole = feed != std::string_view::npos;
        const std::string_view line = stream.substr(0, whole ? feed + 1 : stream.size());
        stream.remove_prefix(line.size());
        if (line.size() > limit) {
            result.events.push_back("oversize " + std::string(line.substr(0, limit)));
            if (whole) result.events.push_back("skipped " + std::to_string(line.size()));
        } else if (whole) {
            result.events.push_back("line " + std::string(line));
        } else {
            result.rest = line;
        }
    }
    return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const size_t limit = 1 + data[0], odd_chunk = 1 + data[1];
    const std::string_view stream(reinterpret_cast<const char*>(data) + 2, size - 2);
    const Run expected = reference(stream, limit);
    for (const size_t chunk_bytes : {size, size_t{1}, size_t{3}, size_t{7}, odd_chunk}) {
        for (const bool stops : {false, true}) {
            hold(run(stream, limit, chunk_bytes, stops) == expected, "frame", "the chunks change the events");
        }
    }
    return 0;
}
