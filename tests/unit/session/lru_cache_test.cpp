#include "session/lru_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace callgate {
namespace {

TEST(LruCache, DropsWhatWasNotAskedForTheLongest) {
    LruCache<std::string, int> cache(2);
    cache.put("a", 1);
    cache.put("b", 2);
    EXPECT_EQ(cache.get("a"), 1);
    cache.put("c", 3);
    EXPECT_EQ(cache.get("b"), std::nullopt);
    EXPECT_EQ(cache.get("a"), 1);
    cache.put("a", 10);
    EXPECT_EQ(cache.get("a"), 10);
    EXPECT_EQ(cache.size(), 2u);
}

}  // namespace
}  // namespace callgate
