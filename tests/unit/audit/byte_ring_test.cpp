#include "audit/byte_ring.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace callgate {
namespace {

class Memory {
  public:
    explicit Memory(size_t capacity) : bytes_(ByteRing::kControlBytes + capacity + kAlignment) {}
    operator std::span<std::byte>() {
        void* start = bytes_.data();
        size_t space = bytes_.size();
        return {static_cast<std::byte*>(std::align(kAlignment, bytes_.size() - kAlignment, start, space)),
                bytes_.size() - kAlignment};
    }

  private:
    static constexpr size_t kAlignment = 64;
    std::vector<std::byte> bytes_;
};

bool push(ByteRing& ring, const std::string& text) {
    std::byte* at = ring.reserve(text.size());
    if (at == nullptr) return false;
    memcpy(at, text.data(), text.size());
    ring.commit(text.size());
    ring.publish();
    return true;
}

std::string pop(ByteRing& ring) {
    const std::span<const std::byte> record = ring.front();
    std::string text(reinterpret_cast<const char*>(record.data()), record.size());
    ring.pop();
    ring.release();
    return text;
}

TEST(ByteRing, FullThenRoomAgain) {
    Memory memory(64);
    ByteRing ring(memory);
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
    Memory memory(1 << 20);
    ByteRing ring(memory);
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

// A process is killed; the next one has the same memory.
TEST(ByteRing, AnotherGoesOnInItsMemory) {
    Memory memory(512);
    const auto commit = [](ByteRing& ring, const std::string& text) {
        memcpy(ring.reserve(text.size()), text.data(), text.size());
        ring.commit(text.size());
    };
    {
        ByteRing ring(memory);
        for (const char* text : {"released", "written", "published"}) ASSERT_TRUE(push(ring, text));
        EXPECT_EQ(pop(ring), "released");
        ring.pop();  // and not released: whether it is on the disk nobody knows
        commit(ring, "kept");
        commit(ring, "dropped");
        commit(ring, "kept too");
        memcpy(ring.reserve(4), "half", 4);
        EXPECT_EQ(ring.front().size(), 9u);
    }
    ByteRing next(memory);
    std::vector<std::string> asked;
    next.decide([&](std::span<const std::byte> record) {
        asked.emplace_back(reinterpret_cast<const char*>(record.data()), record.size());
        return asked.back() != "dropped";
    });
    EXPECT_EQ(asked, (std::vector<std::string>{"kept", "dropped", "kept too"}));
    ASSERT_TRUE(push(next, "new"));
    for (const char* text : {"written", "published", "kept", "kept too", "new"}) EXPECT_EQ(pop(next), text);
    EXPECT_TRUE(next.is_empty());
}

TEST(ByteRing, WhatIsNotPublishedIsNotSeen) {
    Memory memory(1024);
    ByteRing ring(memory);
    memcpy(ring.reserve(1), "a", 1);
    ring.commit(1);
    EXPECT_TRUE(ring.front().empty());
    ring.publish();
    EXPECT_EQ(pop(ring), "a");
}

}  // namespace
}  // namespace callgate
