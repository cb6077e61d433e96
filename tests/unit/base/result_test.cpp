#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace callgate {
namespace {

Result<int> half(int value) {
    if (value % 2) return Error::invalid("half", "is odd");
    return value / 2;
}
Result<int> quarter(int value) {
    int first = TRY(half(value));
    return TRY(half(first));
}
Status check(int value, bool& reached) {
    TRY_VOID([&]() -> Status {
        TRY(half(value));
        return {};
    }());
    reached = true;
    return {};
}

TEST(Result, HoldsAValueOrAnError) {
    EXPECT_EQ(half(4).value(), 2);
    EXPECT_TRUE(half(4));
    ASSERT_FALSE(half(3).ok());
    EXPECT_EQ(half(3).error().kind, ErrorKind::invalid_input);
}

TEST(Result, TryUnwrapsOrReturns) {
    EXPECT_EQ(quarter(8).value(), 2);
    EXPECT_EQ(quarter(6).error().text(), "half: is odd");
    bool reached = false;
    EXPECT_FALSE(check(3, reached).ok());
    EXPECT_FALSE(reached);
    EXPECT_TRUE(check(2, reached).ok());
    EXPECT_TRUE(reached);
}

TEST(Result, MovesWhatCannotBeCopied) {
    auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(5); };
    auto use = [&]() -> Result<int> {
        auto owned = TRY(make());
        return *owned;
    };
    EXPECT_EQ(use().value(), 5);
}

TEST(Result, ErrorsNameTheCallAndTheObject) {
    EXPECT_EQ(Error::system("open", "/run/x", ENOENT).text(), "open /run/x: No such file or directory");
    EXPECT_EQ(Error::system("eventfd", "", EMFILE).text(), "eventfd: Too many open files");
    EXPECT_EQ(Error::refused("process 7", "is traced").text(), "process 7: is traced");
    EXPECT_EQ((Error{ErrorKind::gone, 0, "", "ended"}.text()), "ended");
}

}  // namespace
}  // namespace callgate
