#include "http/body_reader.h"

#include <gtest/gtest.h>

#include <string>

namespace callgate {
namespace {

using Step = BodyReader::Step;
using Kind = BodyFraming::Kind;

// What a body in any chunks comes to: payload, how it ended, raw bytes it took.
struct Outcome {
    std::string payload, end;
    uint64_t raw_bytes = 0;
    HttpProblem problem;
    bool operator==(const Outcome&) const = default;
};

Outcome read(BodyFraming framing, BodyReader::Extensions extensions, std::string_view stream, size_t chunk_bytes) {
    BodyReader reader(framing, extensions);
    Outcome outcome;
    for (size_t at = 0; at < stream.size() && outcome.end.empty(); at += chunk_bytes) {
        const std::string chunk(stream.substr(at, chunk_bytes));
        for (std::string_view rest = chunk;;) {
            const BodyReader::Piece piece = reader.next(rest);
            rest.remove_prefix(piece.raw_bytes);
            outcome.payload.append(piece.payload);
            if (piece.step == Step::end) outcome.end = "end";
            if (piece.step == Step::refused) outcome.end = "refused";
            if (piece.step == Step::more || !outcome.end.empty()) break;
        }
    }
    if (outcome.end.empty()) outcome.end = reader.finish() ? "finished" : "cut";
    outcome.raw_bytes = reader.raw_bytes();
    outcome.problem = reader.problem();
    EXPECT_EQ(reader.payload_bytes(), outcome.payload.size());
    return outcome;
}

Outcome read(BodyFraming framing, std::string_view stream, BodyReader::Extensions extensions = BodyReader::Extensions::refuse) {
    const Outcome whole = read(framing, extensions, stream, std::max<size_t>(1, stream.size()));
    for (const size_t chunk : {1U, 3U, 7U}) EXPECT_EQ(read(framing, extensions, stream, chunk), whole) << stream;
    return whole;
}

Outcome skipping(std::string_view stream) { return read({Kind::chunked, 0}, stream, BodyReader::Extensions::skip); }

TEST(BodyReader, StepsOfTheExampleInItsHeader) {
    BodyReader reader({Kind::chunked, 0}, BodyReader::Extensions::refuse);
    std::string_view input = "5\r\nhel";
    BodyReader::Piece piece = reader.next(input);
    EXPECT_EQ(piece.step, Step::framing);
    EXPECT_EQ(piece.raw_bytes, 3U);
    piece = reader.next(input.substr(3));
    EXPECT_EQ(piece.step, Step::payload);
    EXPECT_EQ(piece.payload, "hel");
    EXPECT_EQ(piece.payload.data(), input.data() + 3);
    EXPECT_EQ(reader.next("").step, Step::more);
    EXPECT_EQ(reader.next("lo\r\n0\r\n\r\nGET").payload, "lo");
    piece = reader.next("\r\n0\r\n\r\nGET");
    EXPECT_EQ(piece.step, Step::end);
    EXPECT_EQ(piece.raw_bytes, 7U);
    EXPECT_TRUE(reader.done());
    EXPECT_EQ(reader.next("GET").step, Step::end);
    EXPECT_EQ(reader.next("GET").raw_bytes, 0U);
}

TEST(BodyReader, EachFraming) {
    EXPECT_EQ(read({}, "GET"), (Outcome{"", "end", 0, {}}));
    EXPECT_EQ(read({Kind::length, 0}, "GET"), (Outcome{"", "end", 0, {}}));
    EXPECT_EQ(read({Kind::length, 2}, "{}GET"), (Outcome{"{}", "end", 2, {}}));
    EXPECT_EQ(read({Kind::length, 3}, "{}"), (Outcome{"{}", "cut", 2, {HttpRefusal::incomplete, 2}}));
    EXPECT_EQ(read({Kind::chunked, 0}, "2\r\n{}\r\n0\r\n\r\nGET"), (Outcome{"{}", "end", 12, {}}));
    EXPECT_EQ(read({Kind::chunked, 0}, "2\r\n{}\r\n"), (Outcome{"{}", "cut", 7, {HttpRefusal::incomplete, 7}}));
    EXPECT_EQ(read({Kind::until_close, 0}, "{}"), (Outcome{"{}", "finished", 2, {}}));
    EXPECT_EQ(read({Kind::tunnel, 0}, "x\0y"), (Outcome{"x", "finished", 1, {}}));
    EXPECT_EQ(read({Kind::until_close, 0}, ""), (Outcome{"", "finished", 0, {}}));
}

TEST(BodyReader, FinishAfterTheEndIsNoProblem) {
    BodyReader none;
    EXPECT_TRUE(none.done());
    EXPECT_TRUE(none.finish());
    BodyReader length({Kind::length, 1}, BodyReader::Extensions::refuse);
    EXPECT_EQ(length.next("ab").raw_bytes, 1U);
    EXPECT_TRUE(length.finish());
    BodyReader refused({Kind::chunked, 0}, BodyReader::Extensions::refuse);
    EXPECT_EQ(refused.next("x").step, Step::refused);
    EXPECT_FALSE(refused.finish());
    EXPECT_EQ(refused.problem().refusal, HttpRefusal::bad_chunk_size);
    EXPECT_EQ(refused.next("0\r\n\r\n").step, Step::refused);
}

TEST(BodyReader, ExtensionsAreSkippedWhereToldSo) {
    EXPECT_EQ(skipping("2;a=b\r\n{}\r\n0 ; c=\"d;\" \r\n\r\n"), (Outcome{"{}", "end", 26, {}}));
    EXPECT_EQ(skipping("2 \t;\r\n{}\r\n0\r\n\r\n"), (Outcome{"{}", "end", 15, {}}));
    EXPECT_EQ(skipping("2 \r\n{}").problem, (HttpProblem{HttpRefusal::bad_chunk_size, 2}));
    EXPECT_EQ(skipping("2 x\r\n").problem, (HttpProblem{HttpRefusal::bad_chunk_size, 2}));
    EXPECT_EQ(skipping("2;a\n{}").problem, (HttpProblem{HttpRefusal::bare_line_feed, 3}));
    EXPECT_EQ(skipping("2;a\r{}").problem, (HttpProblem{HttpRefusal::bare_carriage_return, 3}));
    EXPECT_EQ(skipping("2;\x01\r\n").problem, (HttpProblem{HttpRefusal::chunk_extension, 2}));
    EXPECT_EQ(skipping("0;a=\"b\\\"c\\\\\"\r\n\r\n").end, "end");
    EXPECT_EQ(skipping("2;a=\"b\r\n{}").problem, (HttpProblem{HttpRefusal::chunk_extension, 6}));
    EXPECT_EQ(skipping("2;a=\"b\\\"\r\n{}").problem, (HttpProblem{HttpRefusal::chunk_extension, 8}));
    EXPECT_EQ(skipping("1;a=\"\\\"\"\r\n.\r\n2;\"\r\n").problem, (HttpProblem{HttpRefusal::chunk_extension, 16}));
    const std::string longest = "0;" + std::string(1023, 'x');
    EXPECT_EQ(skipping(longest + "\r\n\r\n").end, "end");
    EXPECT_EQ(skipping(longest + "x").problem, (HttpProblem{HttpRefusal::chunk_line_too_long, 1025}));
    // The bound is one line's, not the body's.
    std::string many;
    for (int i = 0; i < 10; ++i) many += "1;" + std::string(900, 'x') + "\r\n.\r\n";
    EXPECT_EQ(skipping(many + "0\r\n\r\n").payload, std::string(10, '.'));
}

TEST(BodyReader, LargestChunk) {
    BodyReader reader({Kind::chunked, 0}, BodyReader::Extensions::refuse);
    EXPECT_EQ(reader.next("1fffffffffffff\r\n").step, Step::framing);
    EXPECT_EQ(reader.next("xyz").payload, "xyz");
    EXPECT_EQ(read({Kind::chunked, 0}, "20000000000000\r\n").problem, (HttpProblem{HttpRefusal::chunk_too_large, 13}));
}

}  // namespace
}  // namespace callgate
