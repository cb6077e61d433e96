#include "base/fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace callgate {
namespace {

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }
Fd open_null() { return Fd::adopt(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

TEST(Fd, ClosesOnDestruction) {
    int number;
    {
        Fd fd = open_null();
        number = fd.get();
        EXPECT_TRUE(fd.valid());
        EXPECT_TRUE(is_open(number));
    }
    EXPECT_FALSE(is_open(number));
}

TEST(Fd, MovesItsOwnership) {
    Fd first = open_null();
    int number = first.get();
    Fd second = std::move(first);
    EXPECT_FALSE(first.valid());
    EXPECT_EQ(second.get(), number);
    Fd third = open_null();
    int replaced = third.get();
    third = std::move(second);
    EXPECT_FALSE(is_open(replaced));
    EXPECT_TRUE(is_open(number));
    Fd& same = third;
    third = std::move(same);
    EXPECT_TRUE(is_open(number));
}

TEST(Fd, ReleaseKeepsItOpen) {
    Fd fd = open_null();
    int number = fd.release();
    EXPECT_FALSE(fd.valid());
    EXPECT_TRUE(is_open(number));
    close(number);
}

TEST(Fd, ResetTwiceClosesOnce) {
    Fd fd = open_null();
    fd.reset();
    EXPECT_EQ(fd.get(), -1);
    fd.reset();
    EXPECT_FALSE(Fd());
}

}  // namespace
}  // namespace callgate
