#include "http/inflate.h"

#include <gtest/gtest.h>
#include <zlib.h>

namespace callgate {
namespace {

constexpr int kZlib = 15, kGzip = 15 + 16, kRaw = -15;

std::string deflated(std::string_view text, int window) {
    z_stream stream{};
    EXPECT_EQ(deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string out(deflateBound(&stream, text.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

std::string decoded(ContentCoding coding, std::string_view body, size_t bytes_max = 1000) {
    const Result<std::string> out = inflate_bounded(coding, body, bytes_max);
    return out.ok() ? "ok " + out.value() : out.error().what;
}

TEST(Inflate, BothFormats) {
    EXPECT_EQ(decoded(ContentCoding::gzip, deflated("{\"a\":1}", kGzip)), "ok {\"a\":1}");
    EXPECT_EQ(decoded(ContentCoding::deflate, deflated("{\"a\":1}", kZlib)), "ok {\"a\":1}");
    EXPECT_EQ(decoded(ContentCoding::gzip, deflated("", kGzip)), "ok ");
    std::string text;
    for (int i = 0; i < 100000; ++i) text += std::to_string(i);
    const Result<std::string> out = inflate_bounded(ContentCoding::gzip, deflated(text, kGzip), text.size());
    ASSERT_TRUE(out.ok());
    EXPECT_EQ(out.value(), text);
}

TEST(Inflate, NeverBeyondTheLimit) {
    const std::string bomb = deflated(std::string(50 << 20, 'x'), kGzip);
    EXPECT_LT(bomb.size(), 100000U);
    EXPECT_EQ(decoded(ContentCoding::gzip, bomb), "longer than the limit");
    const std::string ten = deflated("0123456789", kGzip);
    EXPECT_EQ(decoded(ContentCoding::gzip, ten, 10), "ok 0123456789");
    EXPECT_EQ(decoded(ContentCoding::gzip, ten, 9), "longer than the limit");
    EXPECT_EQ(decoded(ContentCoding::gzip, deflated("", kGzip), 0), "ok ");
    EXPECT_EQ(decoded(ContentCoding::gzip, deflated("x", kGzip), 0), "longer than the limit");
}

TEST(Inflate, RefusesWhatIsNotExactlyOneBody) {
    const std::string gzip = deflated("{}", kGzip);
    for (size_t bytes = 0; bytes < gzip.size(); ++bytes)
        EXPECT_EQ(decoded(ContentCoding::gzip, gzip.substr(0, bytes)), "cut off") << bytes;
    EXPECT_EQ(decoded(ContentCoding::gzip, gzip + "x"), "bytes after its end");
    EXPECT_EQ(decoded(ContentCoding::gzip, gzip + gzip), "bytes after its end");
    EXPECT_EQ(decoded(ContentCoding::gzip, "{}"), "not in its content coding");
    EXPECT_EQ(decoded(ContentCoding::gzip, deflated("{}", kZlib)), "not in its content coding");
    EXPECT_EQ(decoded(ContentCoding::deflate, deflated("{}", kRaw)), "not in its content coding");
    std::string wrong_sum = gzip;
    wrong_sum[wrong_sum.size() - 8] ^= 1;
    EXPECT_EQ(decoded(ContentCoding::gzip, wrong_sum), "not in its content coding");
    EXPECT_EQ(decoded(ContentCoding::identity, "{}"), "unknown content coding");
    EXPECT_EQ(decoded(ContentCoding::other, "{}"), "unknown content coding");
}

}  // namespace
}  // namespace callgate
