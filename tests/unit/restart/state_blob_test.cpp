#include "restart/state_blob.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <nlohmann/json.hpp>

#include "restart/session_state.h"

namespace callgate {
namespace {

using nlohmann::json;

json sample() { return {{"id", "01J"}, {"bytes", json::binary({0, 10, 255})}, {"list", {1, -2, true}}}; }

TEST(StateBlob, RoundTrip) {
    auto read = decode_state(encode_state(sample()));
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_EQ(read.value(), sample());
}

TEST(StateBlob, EveryTruncationIsAnError) {
    const std::string blob = encode_state(sample());
    for (size_t length = 0; length < blob.size(); ++length) {
        auto read = decode_state(std::string_view(blob).substr(0, length));
        ASSERT_FALSE(read.ok()) << length;
        EXPECT_EQ(read.error().kind, ErrorKind::invalid_input);
    }
    EXPECT_FALSE(decode_state(blob + "x").ok());
}

TEST(StateBlob, EveryChangedByteIsAnErrorButWhereNothingIsSaid) {
    const std::string blob = encode_state(sample());
    for (size_t at = 0; at < blob.size(); ++at) {
        std::string changed = blob;
        changed[at] = static_cast<char>(changed[at] ^ 0x40);
        const bool is_reserved = at >= 12 && at < 16;
        EXPECT_EQ(decode_state(changed).ok(), is_reserved) << at;
    }
}

TEST(StateBlob, ANewerFormatIsRefusedAndSaysSo) {
    auto read = decode_state(encode_state(sample(), kStateFormat + 1));
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().kind, ErrorKind::refused);
    EXPECT_NE(read.error().text().find("left by a newer one"), std::string::npos) << read.error().text();
    EXPECT_EQ(decode_state(encode_state(sample(), 0)).error().kind, ErrorKind::invalid_input);
}

TEST(StateBlob, WhatIsNoMapIsAnError) { EXPECT_FALSE(decode_state(encode_state(json::array({1}))).ok()); }

TEST(StateBlob, TheMemoryIsSealed) {
    auto memory = write_state(sample());
    ASSERT_TRUE(memory.ok()) << memory.error().text();
    EXPECT_LT(write(memory.value().get(), "x", 1), 0);
    EXPECT_NE(ftruncate(memory.value().get(), 3), 0);
    EXPECT_EQ(read_state(memory.value()).value(), sample());
    const Fd open = Fd::adopt(memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    const std::string blob = encode_state(sample());
    ASSERT_EQ(write(open.get(), blob.data(), blob.size()), static_cast<ssize_t>(blob.size()));
    EXPECT_FALSE(read_state(open).ok());
}

}  // namespace
}  // namespace callgate
