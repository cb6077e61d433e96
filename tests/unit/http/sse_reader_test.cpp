#include "http/sse_reader.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sse_trace.h"

namespace callgate {
namespace {

using http_test::SseItem;
using http_test::SseTrace;
using http_test::trace_events;

constexpr size_t kLimit = 1000;

// The same items in every chunking, and every byte in exactly one of them.
std::vector<SseItem> items(std::string_view stream, size_t limit = kLimit) {
    SseReader reader(limit);
    const SseTrace whole = trace_events(reader, stream, std::max<size_t>(1, stream.size()));
    EXPECT_EQ(whole.raw() + std::string(reader.rest()), stream);
    EXPECT_EQ(reader.at_boundary(), whole.raw().size() == stream.size() && whole.open_oversize.empty());
    for (const size_t chunk : {1U, 2U, 3U, 7U}) {
        SseReader other(limit);
        EXPECT_EQ(trace_events(other, stream, chunk).items, whole.items) << stream;
        EXPECT_EQ(other.rest(), reader.rest()) << stream;
    }
    return whole.items;
}

SseItem event(std::string raw, std::string data, std::string name = "message") {
    return {SseItem::Kind::event, std::move(raw), std::move(name), std::move(data), ""};
}
SseItem event_with_id(std::string raw, std::string data, std::string id) {
    return {SseItem::Kind::event, std::move(raw), "message", std::move(data), std::move(id), true};
}
SseItem other(std::string raw) { return {SseItem::Kind::other, std::move(raw), "", "", ""}; }

using Items = std::vector<SseItem>;

TEST(SseReader, ReadsTheExamplesOfItsHeader) {
    EXPECT_EQ(items("event: message\nid: 7\ndata: {\"a\":\ndata: 1}\n\n"),
              (Items{event_with_id("event: message\nid: 7\ndata: {\"a\":\ndata: 1}\n\n", "{\"a\":\n1}", "7")}));
    EXPECT_EQ(items(": ping\n"), (Items{other(": ping\n")}));
    EXPECT_EQ(items("id: 1\n\n"), (Items{other("id: 1\n\n")}));
}

TEST(SseReader, LineEnds) {
    EXPECT_EQ(items("data: a\n\ndata: b\n\n"), (Items{event("data: a\n\n", "a"), event("data: b\n\n", "b")}));
    EXPECT_EQ(items("data: a\r\rdata: b\r\r"), (Items{event("data: a\r\r", "a"), event("data: b\r\r", "b")}));
    EXPECT_EQ(items("data: a\r\n\r\ndata: b\r\n\r\n"),
              (Items{event("data: a\r\n\r", "a"), other("\n"), event("data: b\r\n\r", "b"), other("\n")}));
    EXPECT_EQ(items("data: a\r\ndata: b\n\r"), (Items{event("data: a\r\ndata: b\n\r", "a\nb")}));
    EXPECT_EQ(items("data: a\n\r\n"), (Items{event("data: a\n\r", "a"), other("\n")}));
    EXPECT_EQ(items("data: a\r\n\n"), (Items{event("data: a\r\n\n", "a")}));
    EXPECT_EQ(items("data: a\r\n\r\n\r\n"), (Items{event("data: a\r\n\r", "a"), other("\n"), other("\r"), other("\n")}));
}

TEST(SseReader, Fields) {
    EXPECT_EQ(items("data:a\n\n"), (Items{event("data:a\n\n", "a")}));
    EXPECT_EQ(items("data:  a\n\n"), (Items{event("data:  a\n\n", " a")}));
    EXPECT_EQ(items("data\n\n"), (Items{event("data\n\n", "")}));
    EXPECT_EQ(items("data:\ndata\n\n"), (Items{event("data:\ndata\n\n", "\n")}));
    EXPECT_EQ(items("data: a:b\n\n"), (Items{event("data: a:b\n\n", "a:b")}));
    EXPECT_EQ(items("Data: a\n\n"), (Items{other("Data: a\n\n")}));
    EXPECT_EQ(items("data : a\n\n"), (Items{other("data : a\n\n")}));
    EXPECT_EQ(items(" data: a\n\n"), (Items{other(" data: a\n\n")}));
    EXPECT_EQ(items("event: x\nevent: y\ndata: a\n\n"), (Items{event("event: x\nevent: y\ndata: a\n\n", "a", "y")}));
    EXPECT_EQ(items("event: x\nevent:\ndata: a\n\n"), (Items{event("event: x\nevent:\ndata: a\n\n", "a")}));
    EXPECT_EQ(items("event: x\n\ndata: a\n\n"), (Items{other("event: x\n\n"), event("data: a\n\n", "a")}));
    EXPECT_EQ(items("id: 1\nid\ndata: a\n\n"), (Items{event_with_id("id: 1\nid\ndata: a\n\n", "a", "")}));
    const std::string with_nul("id: 1\nid: 2\0\ndata: a\n\n", 22);
    EXPECT_EQ(items(with_nul), (Items{event_with_id(with_nul, "a", "1")}));
    EXPECT_EQ(items("retry: 5\nfoo: x\ndata: a\n\n"), (Items{event("retry: 5\nfoo: x\ndata: a\n\n", "a")}));
    // A priming event: an id, and data that is there but empty.
    EXPECT_EQ(items("id: 1\ndata: \n\n"), (Items{event_with_id("id: 1\ndata: \n\n", "", "1")}));
}

TEST(SseReader, CommentsBetweenEventsGoOutAtOnceAndInsideWithTheirEvent) {
    EXPECT_EQ(items(":\n: a\r:b\r\ndata: 1\n:c\n\n"),
              (Items{other(":\n"), other(": a\r"), other(":b\r"), other("\n"), event("data: 1\n:c\n\n", "1")}));
    EXPECT_EQ(items("\n\ndata: a\n\n"), (Items{other("\n"), other("\n"), event("data: a\n\n", "a")}));
}

TEST(SseReader, ByteOrderMarkOnlyFirst) {
    EXPECT_EQ(items("\xef\xbb\xbf"
                    "data: a\n\n"),
              (Items{other("\xef\xbb\xbf"), event("data: a\n\n", "a")}));
    EXPECT_EQ(items("\xef\xbb\xbf"
                    ":x\n"),
              (Items{other("\xef\xbb\xbf"), other(":x\n")}));
    EXPECT_EQ(items("\xef\xbb"
                    "data: a\n\n"),
              (Items{other("\xef\xbb"
                           "data: a\n\n")}));
    EXPECT_EQ(items("\xef\n\ndata: a\n\n"), (Items{other("\xef\n\n"), event("data: a\n\n", "a")}));
    EXPECT_EQ(items("\n\xef\xbb\xbf"
                    "data: a\n\n"),
              (Items{other("\n"), other("\xef\xbb\xbf"
                                        "data: a\n\n")}));
}

TEST(SseReader, EndOfStreamLeavesTheRest) {
    EXPECT_EQ(items("data: a\n\ndata: b\n"), (Items{event("data: a\n\n", "a")}));
    SseReader reader(kLimit);
    SseTrace trace;
    reader.feed("data: b\n", trace);
    EXPECT_EQ(reader.rest(), "data: b\n");
    EXPECT_FALSE(reader.at_boundary());
    reader.clear();
    EXPECT_TRUE(reader.at_boundary());
    reader.feed("\n", trace);
    EXPECT_EQ(trace.items, (Items{other("\n")}));
}

TEST(SseReader, OversizeItemsPassInPiecesAndTheNextIsRead) {
    const std::string longest = "data: " + std::string(kLimit - 8, 'x') + "\n\n", over = "data: x" + longest.substr(6);
    EXPECT_EQ(items(longest).front(), event(longest, std::string(kLimit - 8, 'x')));
    EXPECT_EQ(items(over + "data: a\n\n"), (Items{{SseItem::Kind::oversize, over, "", "", ""}, event("data: a\n\n", "a")}));
    EXPECT_EQ(items(":" + over),
              (Items{{SseItem::Kind::oversize, ":" + over.substr(0, over.size() - 1), "", "", ""}, other("\n")}));
    EXPECT_TRUE(items(std::string(3 * kLimit, 'x')).empty());
    EXPECT_EQ(items("data: a\n\n", 8), (Items{{SseItem::Kind::oversize, "data: a\n\n", "", "", ""}}));
}

TEST(SseReader, ManyLineEndsInOneChunkCostLinearTime) {
    std::string stream;
    for (int i = 0; i < 200000; ++i) stream += "x\r";
    SseReader reader(stream.size());
    SseTrace trace;
    reader.feed(stream + "\n\n", trace);
    EXPECT_EQ(trace.items.size(), 1U);
}

TEST(SseWriter, MessageReadsBackAsItsData) {
    for (const std::string data : {"{}", "", "a\nb", "a\r\nb\rc", " a", "a\n", "\n"}) {
        std::string out;
        append_sse_message(out, data);
        std::string expected = data;
        for (size_t at; (at = expected.find("\r\n")) != std::string::npos;) expected.erase(at, 1);
        std::replace(expected.begin(), expected.end(), '\r', '\n');
        EXPECT_EQ(items(out), (Items{event(out, expected)}));
    }
    std::string out;
    append_sse_message(out, "{\"a\":1}");
    EXPECT_EQ(out, "event: message\ndata: {\"a\":1}\n\n");
}

TEST(SseWriter, OtherDataKeepsTheRestOfTheEvent) {
    const auto with_data = [](std::string_view raw, std::string_view data) {
        std::string out;
        append_sse_with_data(out, {raw, {}, {}, {}}, data);
        return out;
    };
    EXPECT_EQ(with_data(":c\nid: 1\ndata: a\nevent: x\ndata: b\nretry: 3\n\n", "z"),
              ":c\nid: 1\ndata: z\nevent: x\nretry: 3\n\n");
    EXPECT_EQ(with_data("id: 1\r\ndata: a\r\n\r", "z"), "id: 1\r\ndata: z\n\r");
    EXPECT_EQ(with_data("data\r\r", "y\nz"), "data: y\ndata: z\n\r");
    EXPECT_EQ(with_data("data: a\nid: 1\rdata: b\n\n", "z"), "data: z\nid: 1\r\n\n");
}

}  // namespace
}  // namespace callgate
