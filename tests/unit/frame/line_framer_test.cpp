#include "frame/line_framer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace callgate {
namespace {

// Writes down every event; can stop after each line.
struct Recorder final : LineFramer::Handler {
    bool line(std::string_view bytes) override {
        events.push_back("line " + std::string(bytes));
        in_chunk = bytes.data() >= chunk.data() && bytes.data() < chunk.data() + chunk.size();
        return !stop_each_line;
    }
    void oversize(std::string_view head) override { events.push_back("oversize " + std::string(head)); }
    void skipped(size_t bytes) override { events.push_back("skipped " + std::to_string(bytes)); }

    void feed(LineFramer& framer, std::string_view bytes) {
        chunk = bytes;
        framer.feed(bytes, *this);
    }
    std::vector<std::string> events;
    std::string_view chunk;
    bool in_chunk = false;
    bool stop_each_line = false;
};

using Events = std::vector<std::string>;

Events trace(std::string_view stream, size_t chunk_bytes, size_t limit) {
    LineFramer framer(limit);
    Recorder recorder;
    for (size_t at = 0; at < stream.size(); at += chunk_bytes)
        recorder.feed(framer, stream.substr(at, chunk_bytes));
    recorder.events.push_back("rest " + std::string(framer.rest()));
    return recorder.events;
}

TEST(LineFramer, CutsAtLineFeeds) {
    EXPECT_EQ(trace("a\nbc\n\nd", 100, 100), (Events{"line a\n", "line bc\n", "line \n", "rest d"}));
}

TEST(LineFramer, KeepsCarriageReturnsAndNuls) {
    EXPECT_EQ(trace(std::string_view("a\r\n\0b\n", 6), 100, 100),
              (Events{"line a\r\n", "line " + std::string("\0b\n", 3), "rest "}));
}

TEST(LineFramer, IsChunkInvariant) {
    const std::string stream = "ab\n\nlonger than the limit is\nx\n12345678\n123456789\n1234567\ntail";
    const Events whole = trace(stream, stream.size(), 9);
    for (const size_t chunk : {1, 2, 3, 5, 7, 11, 13}) EXPECT_EQ(trace(stream, chunk, 9), whole) << chunk;
}

TEST(LineFramer, CountsTheLineFeedTowardsTheLimit) {
    EXPECT_EQ(trace("1234\n", 100, 5), (Events{"line 1234\n", "rest "}));
    EXPECT_EQ(trace("12345\nx\n", 100, 5), (Events{"oversize 12345", "skipped 6", "line x\n", "rest "}));
}

TEST(LineFramer, ReportsAnOversizeLineBeforeItEnds) {
    EXPECT_EQ(trace("123456", 2, 5), (Events{"oversize 12345", "rest "}));
    EXPECT_EQ(trace("12345", 2, 5), (Events{"rest 12345"}));
}

TEST(LineFramer, HandsOutLinesOfTheChunkWithoutCopying) {
    LineFramer framer(100);
    Recorder recorder;
    recorder.feed(framer, "whole\n");
    EXPECT_TRUE(recorder.in_chunk);
    recorder.feed(framer, "par");
    recorder.feed(framer, "tial\nnext\n");
    EXPECT_TRUE(recorder.in_chunk);
    EXPECT_EQ(recorder.events, (Events{"line whole\n", "line partial\n", "line next\n"}));
}

TEST(LineFramer, StopsAndResumesOneLineAtATime) {
    LineFramer framer(100);
    Recorder recorder;
    recorder.stop_each_line = true;
    recorder.feed(framer, "a\nb\nc\nd");
    EXPECT_EQ(recorder.events, (Events{"line a\n"}));
    EXPECT_EQ(framer.rest(), "b\nc\nd");
    recorder.feed(framer, "e\nf");
    EXPECT_EQ(recorder.events, (Events{"line a\n", "line b\n"}));
    framer.resume(recorder);
    framer.resume(recorder);
    EXPECT_EQ(recorder.events, (Events{"line a\n", "line b\n", "line c\n", "line de\n"}));
    framer.resume(recorder);
    EXPECT_EQ(recorder.events.size(), 4u);
    EXPECT_EQ(framer.rest(), "f");
}

TEST(LineFramer, StopOnALineThatBeganInAnEarlierChunk) {
    LineFramer framer(100);
    Recorder recorder;
    recorder.stop_each_line = true;
    recorder.feed(framer, "a");
    recorder.feed(framer, "b\nc\n");
    EXPECT_EQ(recorder.events, (Events{"line ab\n"}));
    EXPECT_EQ(framer.buffered_bytes(), 2u);
    framer.resume(recorder);
    EXPECT_EQ(recorder.events, (Events{"line ab\n", "line c\n"}));
    EXPECT_EQ(framer.buffered_bytes(), 0u);
}

TEST(LineFramer, FindsOversizeLinesAmongPendingOnes) {
    LineFramer framer(4);
    Recorder recorder;
    recorder.stop_each_line = true;
    recorder.feed(framer, "a\n12345");
    recorder.feed(framer, "67\nb\n");
    framer.resume(recorder);
    EXPECT_EQ(recorder.events, (Events{"line a\n", "oversize 1234", "skipped 8", "line b\n"}));
}

TEST(LineFramer, HoldsNoMemoryWhereNothingIsPending) {
    LineFramer framer(1 << 20);
    Recorder recorder;
    recorder.feed(framer, std::string(100000, 'x'));
    EXPECT_EQ(framer.buffered_bytes(), 100000u);
    recorder.feed(framer, "\n");
    EXPECT_EQ(framer.buffered_bytes(), 0u);
    EXPECT_LE(framer.reserved_bytes(), 4096u);
}

TEST(LineFramer, ClearForgetsEverything) {
    LineFramer framer(4);
    Recorder recorder;
    recorder.feed(framer, "123456");
    framer.clear();
    recorder.feed(framer, "a\n");
    EXPECT_EQ(recorder.events, (Events{"oversize 1234", "line a\n"}));
}

// A million pending lines, taken one at a time: a framer that moved the rest each time would never end.
TEST(LineFramer, ManyPendingLinesCostLinearTime) {
    struct Counter final : LineFramer::Handler {
        bool line(std::string_view) override { return ++lines, false; }
        void oversize(std::string_view) override {}
        void skipped(size_t) override {}
        size_t lines = 0;
    } counter;
    LineFramer framer(100);
    std::string stream;
    for (int i = 0; i < 1000000; ++i) stream += "x\n";
    framer.feed(stream, counter);
    while (framer.buffered_bytes() > 0) framer.resume(counter);
    EXPECT_EQ(counter.lines, 1000000u);
}

TEST(LineFramer, ALongLineInSmallChunksCostsLinearTime) {
    LineFramer framer(size_t{64} << 20);
    Recorder recorder;
    const std::string chunk(4096, 'x');
    for (size_t fed = 0; fed < (size_t{32} << 20); fed += chunk.size()) framer.feed(chunk, recorder);
    framer.feed("\n", recorder);
    ASSERT_EQ(recorder.events.size(), 1u);
    EXPECT_EQ(recorder.events[0].size(), 5 + (size_t{32} << 20) + 1);
}

}  // namespace
}  // namespace callgate
