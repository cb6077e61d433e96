#include "frame/line_framer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/limits.h"

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
    for (size_t at = 0; at < stream.size(); at += chunk_bytes) recorder.feed(framer, stream.substr(at, chunk_bytes));
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

// Reads as a Source does: into what is lent, where anything is.
struct Lender {
    explicit Lender(size_t limit) : framer(limit) {}
    void read(std::string_view bytes) {
        while (!bytes.empty()) {
            std::span<char> room = framer.lend_room();
            const size_t taken = room.empty() ? std::min<size_t>(bytes.size(), kReadBytes) : std::min(room.size(), bytes.size());
            if (room.empty()) {
                framer.feed(bytes.substr(0, taken), recorder);
            } else {
                ++loans;
                memcpy(room.data(), bytes.data(), taken);
                framer.feed({room.data(), taken}, recorder);
            }
            bytes.remove_prefix(taken);
        }
    }
    LineFramer framer;
    Recorder recorder;
    int loans = 0;
};

TEST(LineFramer, ALoanChangesNothingOfWhatIsHandedOut) {
    const std::string line = std::string(300000, 'a') + '\n', stream = line + "short\nx\n" + line + std::string(100000, 'b');
    const Events whole = trace(stream, stream.size(), size_t{1} << 20);
    for (const size_t piece : {size_t{1000}, size_t{65536}, size_t{65537}, size_t{200000}, stream.size()}) {
        Lender lender(size_t{1} << 20);
        for (size_t at = 0; at < stream.size(); at += piece) lender.read(std::string_view(stream).substr(at, piece));
        lender.recorder.events.push_back("rest " + std::string(lender.framer.rest()));
        EXPECT_EQ(lender.recorder.events, whole) << piece;
        EXPECT_GT(lender.loans, 0) << piece;
    }
}

TEST(LineFramer, ALoanStaysWithinTheLimit) {
    Lender lender(100000);
    lender.read(std::string(150000, 'x') + "\nnext\n");
    EXPECT_EQ(lender.recorder.events, (Events{"oversize " + std::string(100000, 'x'), "skipped 150001", "line next\n"}));
    EXPECT_GT(lender.loans, 0);
}

// Bytes of another source, the end of the stream, or a hand-back may come while a read into lent memory is in flight.
TEST(LineFramer, LentMemoryOutlivesTheLineItBelongedTo) {
    const std::string begin(100000, 'a');
    Lender lender(size_t{1} << 20);
    lender.read(begin);
    std::span<char> room = lender.framer.lend_room();
    ASSERT_FALSE(room.empty());
    lender.framer.feed("between", lender.recorder);
    memcpy(room.data(), "end\n", 4);
    lender.framer.feed({room.data(), 4}, lender.recorder);
    EXPECT_EQ(lender.recorder.events, (Events{"line " + begin + "betweenend\n"}));

    lender.read(begin);
    room = lender.framer.lend_room();
    ASSERT_FALSE(room.empty());
    lender.framer.clear();
    memcpy(room.data(), "new\n", 4);
    lender.framer.feed({room.data(), 4}, lender.recorder);
    EXPECT_EQ(lender.recorder.events.back(), "line new\n");
}

TEST(LineFramer, AReadThatBroughtNothingEndsTheLoan) {
    Lender lender(size_t{1} << 20);
    lender.read(std::string(100000, 'a'));
    ASSERT_FALSE(lender.framer.lend_room().empty());
    ASSERT_FALSE(lender.framer.lend_room().empty());
    lender.read("\n");
    EXPECT_EQ(lender.recorder.events, (Events{"line " + std::string(100000, 'a') + "\n"}));
    EXPECT_TRUE(lender.framer.lend_room().empty());
}

TEST(LineFramer, GivesALongLineAwayInsteadOfCopyingIt) {
    struct Taker final : LineFramer::Handler {
        explicit Taker(LineFramer& its_framer) : framer(its_framer) {}
        bool line(std::string_view bytes) override {
            taken = framer.take(bytes);
            same = taken.view().data() == bytes.data();
            return true;
        }
        void oversize(std::string_view) override {}
        void skipped(size_t) override {}
        LineFramer& framer;
        Bytes taken;
        bool same = false;
    };
    LineFramer framer(size_t{1} << 20);
    Taker taker(framer);
    const std::string part(100000, 'x');
    framer.feed(part, taker);
    std::span<char> room = framer.lend_room();
    memcpy(room.data(), "y\nnext\n", 7);
    framer.feed({room.data(), 2}, taker);
    EXPECT_TRUE(taker.same);
    EXPECT_EQ(taker.taken.view(), part + "y\n");
    framer.feed("short\n", taker);
    EXPECT_FALSE(taker.same);
    EXPECT_EQ(taker.taken.view(), "short\n");
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
