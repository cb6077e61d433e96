#include "kernel/holders.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "../base/pipe.h"
#include "child.h"

namespace callgate {
namespace {

TEST(Holders, AreThoseOfPipesAndSockets) {
    const Pipe pipe;
    const Fd event = Fd::adopt(eventfd(0, EFD_CLOEXEC));
    const Child child;
    struct stat status;
    ASSERT_EQ(fstat(pipe.reading.get(), &status), 0);
    const std::unordered_map<uint64_t, std::vector<pid_t>> expected{{status.st_ino, {child.pid()}}};
    EXPECT_EQ(holders_of({status.st_ino}), expected);
    // What has no number is nobody's: its descriptors are of many kinds, and some process has one.
    EXPECT_EQ(holders_of({0}).size(), 0u);
}

}  // namespace
}  // namespace callgate
