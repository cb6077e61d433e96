#include "base/kept_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace callgate {
namespace {

TEST(KeptMemory, AnotherHasTheSameBytes) {
    auto first = KeptMemory::create();
    ASSERT_TRUE(first.ok());
    (*first)->set_starts(3);
    (*first)->audit_queue().back() = std::byte{7};
    (*first)->audit_sessions().back() = std::byte{8};
    auto second = KeptMemory::adopt(Fd::adopt(dup((*first)->fd().get())));
    ASSERT_TRUE(second.ok()) << second.error().text();
    EXPECT_EQ((*second)->starts(), 3u);
    EXPECT_EQ((*second)->audit_queue().back(), std::byte{7});
    EXPECT_EQ((*second)->audit_sessions().back(), std::byte{8});
}

TEST(KeptMemory, WhatIsNoneOrOfAnotherVersionIsRefused) {
    EXPECT_FALSE(KeptMemory::adopt(Fd::adopt(memfd_create("other", MFD_CLOEXEC))).ok());
    auto first = KeptMemory::create();
    ASSERT_TRUE(first.ok());
    const uint32_t newer = 99;
    ASSERT_EQ(pwrite((*first)->fd().get(), &newer, sizeof(newer), 8), 4);
    const auto second = KeptMemory::adopt(Fd::adopt(dup((*first)->fd().get())));
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().kind, ErrorKind::refused);
}

}  // namespace
}  // namespace callgate
