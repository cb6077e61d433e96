#include "base/outbox.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

std::string all(const Outbox& outbox) { return std::string(outbox.first()) + std::string(outbox.second()); }

TEST(Bytes, RoomIsLentBehindWhatIsThere) {
    Bytes bytes("ab");
    std::span<char> room = bytes.room(100000);
    ASSERT_GE(room.size(), 100000u);
    memcpy(room.data(), "cd", 2);
    bytes.commit(2);
    EXPECT_EQ(bytes.view(), "abcd");
    bytes.append("e");
    bytes.erase_front(1);
    bytes.truncate(3);
    EXPECT_EQ(bytes.view(), "bcd");
}

TEST(Bytes, MovesWithoutCopyingAndGivesItsMemoryBack) {
    Bytes bytes(std::string(100000, 'x'));
    const char* memory = bytes.view().data();
    Bytes moved = std::move(bytes);
    EXPECT_EQ(moved.view().data(), memory);
    EXPECT_EQ(bytes.capacity(), 0u);
    moved.release();
    EXPECT_EQ(moved.capacity(), 0u);
    EXPECT_TRUE(moved.view().empty());
}

TEST(Outbox, KeepsTheOrder) {
    Outbox outbox;
    Bytes frame(std::string(100000, 'f'));
    const char* memory = frame.view().data();
    outbox.adopt(std::move(frame));
    EXPECT_EQ(outbox.first().data(), memory);
    outbox.text() += "then";
    outbox.adopt(Bytes("last"));
    EXPECT_EQ(all(outbox), std::string(100000, 'f') + "thenlast");
    EXPECT_EQ(outbox.size(), 100008u);
    outbox.clear();
    EXPECT_TRUE(outbox.empty());
    EXPECT_TRUE(outbox.first().empty());
}

TEST(Outbox, TextReferenceSurvivesASwap) {
    Outbox outbox, other;
    std::string& text = outbox.text();
    text = "one";
    outbox.swap(other);
    EXPECT_EQ(all(other), "one");
    text += "two";
    EXPECT_EQ(all(outbox), "two");
}

}  // namespace
}  // namespace callgate
