#include "audit/byte_ring.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <thread>

namespace callgate {
namespace {

bool push(ByteRing& ring, const std::string& text) {
    std::byte* at = ring.reserve(text.size());
    if (at == nullptr) return false;
    memcpy(at, text.data(), text.size());
    ring.commit(text.size());
    return true;
}

std::string pop(ByteRing& ring) {
    const std::span<const std::byte> record = ring.front();
    std::string text(reinterpret_cast<const char*>(record.data()), record.size());
    ring.pop();
    return text;
}

TEST(ByteRing, FullThenRoomAgain) {
    ByteRing ring(64);
    EXPECT_TRUE(ring.front().empty());
    EXPECT_TRUE(push(ring, "one"));
    EXPECT_TRUE(push(ring, std::string(40, 'x')));
    EXPECT_FALSE(push(ring, "y"));
    EXPECT_EQ(pop(ring), "one");
    EXPECT_TRUE(push(ring, "y"));
    EXPECT_EQ(pop(ring).size(), 40u);
    EXPECT_EQ(pop(ring), "y");
    EXPECT_TRUE(ring.front().empty());
    EXPECT_TRUE(ring.is_empty());
}

TEST(ByteRing, TwoThreadsKeepOrderAndBytes) {
    ByteRing ring(1 << 20);
    constexpr uint32_t kRecords = 300000;
    std::thread producer([&ring] {
        for (uint32_t i = 0; i < kRecords;) {
            if (push(ring, std::string(1 + i % 97, static_cast<char>('a' + i % 26))))
                ++i;
            else
                std::this_thread::yield();
        }
    });
    for (uint32_t i = 0; i < kRecords;) {
        if (ring.front().empty()) {
            std::this_thread::yield();
            continue;
        }
        ASSERT_EQ(pop(ring), std::string(1 + i % 97, static_cast<char>('a' + i % 26)));
        ++i;
    }
    producer.join();
}

}  // namespace
}  // namespace callgate
