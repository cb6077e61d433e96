#include "enforce/pending.h"

#include <gtest/gtest.h>

#include <chrono>

#include "../../slowness.h"
#include "base/limits.h"

namespace callgate {
namespace {

PendingRequest request(std::string tool, int64_t at) {
    PendingRequest made;
    made.tool = std::move(tool);
    made.forwarded_ns = at;
    return made;
}

TEST(Pending, TakesByItsId) {
    PendingTable table;
    table.add("i:1", request("a", 1));
    table.add("s:1", request("b", 2));
    PendingRequest out;
    EXPECT_FALSE(table.take("i:2", out));
    ASSERT_TRUE(table.take("s:1", out));
    EXPECT_EQ(out.tool, "b");
    EXPECT_FALSE(table.take("s:1", out));
    EXPECT_EQ(table.size(), 1u);
}

TEST(Pending, OfTwoWithOneIdTheOldestFirst) {
    PendingTable table;
    table.add("i:1", request("second", 20));
    table.add("i:1", request("first", 10));
    table.add("i:1", request("third", 30));
    PendingRequest out;
    for (const char* expected : {"first", "second", "third"}) {
        ASSERT_TRUE(table.take("i:1", out));
        EXPECT_EQ(out.tool, expected);
    }
    EXPECT_EQ(table.size(), 0u);
}

TEST(Pending, OfOneExchange) {
    PendingTable table;
    PendingRequest first = request("a", 1), second = request("b", 2);
    first.exchange = 1;
    second.exchange = 2;
    table.add("i:1", first);
    table.add("i:1", second);
    PendingRequest out;
    EXPECT_FALSE(table.take("i:1", 3, out));
    ASSERT_TRUE(table.take("i:1", 2, out));
    EXPECT_EQ(out.tool, "b");
    EXPECT_FALSE(out.shares_id);
    EXPECT_FALSE(table.take("i:1", 2, out));
    EXPECT_EQ(table.size(), 1u);
}

TEST(Pending, OnesWithOneIdAreMarkedUntilTheyAreGone) {
    PendingTable table;
    PendingRequest out;
    table.add("i:1", request("a", 1));
    table.add("i:1", request("b", 2));
    ASSERT_TRUE(table.take("i:1", out));
    EXPECT_TRUE(out.shares_id);
    ASSERT_TRUE(table.take("i:1", out));
    EXPECT_TRUE(out.shares_id);
    table.add("i:1", request("c", 3));
    ASSERT_TRUE(table.take("i:1", out));
    EXPECT_FALSE(out.shares_id);
}

TEST(Pending, IsFullAtItsLimit) {
    PendingTable table;
    for (size_t i = 0; i < kPendingMax; ++i) {
        ASSERT_FALSE(table.full());
        table.add("i:" + std::to_string(i), request("", 1));
    }
    EXPECT_TRUE(table.full());
    PendingRequest out;
    EXPECT_TRUE(table.take("i:7", out));
    EXPECT_FALSE(table.full());
}

TEST(Pending, ListsOfTools) {
    PendingTable table;
    PendingRequest list = request("", 1), out;
    list.method = "tools/list";
    EXPECT_FALSE(table.has_list({}));
    table.add("i:1", request("a", 1));
    table.add("i:1", list);
    table.add("i:2", request("b", 2));
    EXPECT_TRUE(table.has_list({}));
    EXPECT_TRUE(table.has_list("i:1"));
    EXPECT_FALSE(table.has_list("i:2"));
    EXPECT_EQ(table.only_list(), "i:1");
    table.add("i:2", list);
    EXPECT_EQ(table.only_list(), "");
    for (const char* id : {"i:1", "i:1", "i:2", "i:2"}) ASSERT_TRUE(table.take(id, out));
    EXPECT_FALSE(table.has_list({}));
}

// A client that asks everything under one id, of a server that does not answer, takes a thread's time that all sessions share.
TEST(Pending, AsManyAsThereMayBeWithOneId) {
    const auto start = std::chrono::steady_clock::now();
    PendingTable table;
    PendingRequest out;
    for (size_t i = 0; i < kPendingMax; ++i) table.add("i:1", request("", static_cast<int64_t>(i)));
    for (size_t i = 0; i < kPendingMax; ++i) {
        ASSERT_TRUE(table.take("i:1", out));
        ASSERT_EQ(out.forwarded_ns, static_cast<int64_t>(i));
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5 * kSlowness));
}

TEST(Pending, ToolsCallNeedsNoName) {
    PendingRequest made;
    EXPECT_EQ(made.method_name(), "tools/call");
    made.method = "ping";
    EXPECT_EQ(made.method_name(), "ping");
}

}  // namespace
}  // namespace callgate
