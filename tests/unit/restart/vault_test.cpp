// What is in a vault outlives its owner, and what is taken out is held by nobody.
#include "restart/vault.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "../base/pipe.h"

namespace callgate {
namespace {

Fd copy_of(const Fd& fd) { return Fd::adopt(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)); }

Bundle bundle_of(const std::string& label, const Fd& fd) {
    Bundle bundle{label, {}};
    bundle.fds.push_back(copy_of(fd));
    return bundle;
}

class VaultTest : public ::testing::Test {
  protected:
    VaultTest()
        : vault_(Vault::create().value()), kept_reading_(copy_of(vault_->reading())), kept_writing_(copy_of(vault_->writing())) {}
    // As a process does it that comes after one that was killed: nothing of that one has been tidied up.
    std::vector<Vault::Found> adopted() {
        std::vector<Vault::Found> found;
        auto next = Vault::adopt(copy_of(kept_reading_), copy_of(kept_writing_), found);
        EXPECT_TRUE(next);
        before_.push_back(std::exchange(vault_, std::move(*next)));
        return found;
    }
    std::unique_ptr<Vault> vault_;
    std::vector<std::unique_ptr<Vault>> before_;
    std::vector<std::shared_ptr<Vault::Entry>> before_entries_;
    Fd kept_reading_, kept_writing_;
};

TEST_F(VaultTest, TheNextProcessFindsWhatIsThere) {
    Pipe one, two;
    auto first = vault_->add(bundle_of("one", one.writing)), second = vault_->add(bundle_of("two", two.writing));
    ASSERT_TRUE(first && second);
    one.writing.reset();
    two.writing.reset();
    for (int turn = 0; turn < 3; ++turn) {
        const std::vector<Vault::Found> found = adopted();
        ASSERT_EQ(found.size(), 2u);
        EXPECT_EQ(found[0].bundle.label, "one");
        EXPECT_EQ(found[1].bundle.label, "two");
        ASSERT_EQ(::write(found[0].bundle.fds.at(0).get(), "x", 1), 1);
        char byte;
        EXPECT_EQ(::read(one.reading.get(), &byte, 1), 1);
        for (const Vault::Found& each : found) before_entries_.push_back(each.entry);
    }
}

TEST_F(VaultTest, WhatIsTakenOutIsHeldByNobody) {
    Pipe pipe;
    auto entry = vault_->add(bundle_of("one", pipe.writing));
    ASSERT_TRUE(entry);
    pipe.writing.reset();
    EXPECT_FALSE(pipe.is_at_end());
    (*entry)->remove();
    EXPECT_TRUE(pipe.is_at_end());
    EXPECT_TRUE(adopted().empty());
}

TEST_F(VaultTest, WhatTakesItsPlaceIsAllThatIsThere) {
    Pipe before, after;
    auto entry = vault_->add(bundle_of("before", before.writing));
    ASSERT_TRUE(entry);
    ASSERT_TRUE((*entry)->replace(bundle_of("after", after.writing)));
    before.writing.reset();
    EXPECT_TRUE(before.is_at_end());
    const std::vector<Vault::Found> found = adopted();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].bundle.label, "after");
}

TEST_F(VaultTest, OfTwoThatAKillHasLeftTheLaterHolds) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    const Fd reading = Fd::adopt(ends[0]), writing = Fd::adopt(ends[1]);
    Pipe before, after;
    ASSERT_TRUE(send_bundle(writing, bundle_of("before", before.writing)));
    ASSERT_TRUE(send_bundle(writing, bundle_of("after", after.writing)));
    Bundle parcel{"vault of another", {}};
    parcel.fds.push_back(copy_of(reading));
    parcel.fds.push_back(copy_of(writing));
    ASSERT_TRUE(send_bundle(vault_->writing(), parcel));
    before.writing.reset();
    const std::vector<Vault::Found> found = adopted();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].bundle.label, "after");
    EXPECT_TRUE(before.is_at_end());
}

// A process may end when it has put one behind the others and has not taken it away at the front.
TEST_F(VaultTest, WhatIsThereTwiceIsFoundOnce) {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    const Fd reading = Fd::adopt(ends[0]), writing = Fd::adopt(ends[1]);
    Pipe one;
    ASSERT_TRUE(send_bundle(writing, bundle_of("one", one.writing)));
    one.writing.reset();
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(send_bundle(vault_->writing(), "vault of another", ends));
    std::vector<Vault::Found> found = adopted();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].bundle.label, "one");
    before_entries_.push_back(found[0].entry);
    found.clear();
    EXPECT_EQ(adopted().size(), 1u);
}

TEST_F(VaultTest, ThousandsComeAndGoAndTheFirstStays) {
    Pipe pipe;
    auto stays = vault_->add(bundle_of("stays", pipe.writing));
    ASSERT_TRUE(stays);
    for (int i = 0; i < 5000; ++i) {
        auto entry = vault_->add(bundle_of("goes", pipe.writing));
        ASSERT_TRUE(entry) << entry.error().text();
        if (i % 7 == 0) {
            ASSERT_TRUE((*entry)->replace(bundle_of("goes on", pipe.writing)));
        }
    }
    const std::vector<Vault::Found> found = adopted();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].bundle.label, "stays");
}

// The vault tidies up for one thread while another one takes its own out.
TEST_F(VaultTest, OneThreadAddsWhileAnotherRemoves) {
    Pipe pipe;
    std::vector<std::shared_ptr<Vault::Entry>> entries;
    for (int i = 0; i < 500; ++i) entries.push_back(vault_->add(bundle_of("goes", pipe.writing)).value());
    std::thread removing([&] {
        for (const auto& entry : entries) entry->remove();
    });
    for (int i = 0; i < 500; ++i) EXPECT_TRUE(vault_->add(bundle_of("goes too", pipe.writing)));
    removing.join();
    pipe.writing.reset();
    EXPECT_TRUE(pipe.is_at_end());
    EXPECT_TRUE(adopted().empty());
}

// A session must not be gone without a word.
TEST_F(VaultTest, WhatThereIsNoRoomForIsSaid) {
    Pipe one;
    auto entry = vault_->add(bundle_of("one", one.writing));
    ASSERT_TRUE(entry);
    before_entries_.push_back(std::move(*entry));
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    std::vector<Vault::Found> found;
    Fd reading = copy_of(kept_reading_), writing = copy_of(kept_writing_);
    const Fd next_free = copy_of(kept_reading_);
    const rlimit few{static_cast<rlim_t>(next_free.get()) + 2, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    auto next = Vault::adopt(std::move(reading), std::move(writing), found);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_TRUE(next);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].bundle.label, "");
    EXPECT_TRUE(found[0].bundle.fds.empty());
}

}  // namespace
}  // namespace callgate
