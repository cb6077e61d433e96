#include "audit/record_id.h"

#include <gtest/gtest.h>

#include <string>

namespace callgate {
namespace {

TEST(RecordId, RisesStrictlyWhateverTheClockDoes) {
    RecordIdMaker ids;
    std::string last;
    const int64_t times[] = {1'730'000'000'000, 1'730'000'000'000, 1'730'000'000'001,
                             1'729'000'000'000, 1'730'000'000'001, 1'730'000'000'500};
    for (int64_t time : times) {
        for (int i = 0; i < 1000; ++i) {
            const std::string id(ids.next(time).view());
            EXPECT_GT(id, last);
            EXPECT_EQ(id.size(), 26u);
            EXPECT_EQ(id.find_first_not_of("0123456789ABCDEFGHJKMNPQRSTVWXYZ"), std::string::npos);
            last = id;
        }
    }
}

TEST(RecordId, TimeIsThePrefix) {
    RecordIdMaker ids;
    // 1469918176385 ms: the example of the ULID specification.
    EXPECT_EQ(ids.next(1469918176385).view().substr(0, 10), "01ARYZ6S41");
}

TEST(RecordId, MakersDiffer) {
    RecordIdMaker one, two;
    EXPECT_NE(one.next(1).view(), two.next(1).view());
}

}  // namespace
}  // namespace callgate
