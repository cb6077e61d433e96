// What a killed agent had charged in a turn: all of it counts once the turn was committed, and nothing before.
#include "policy/counter_turns.h"

#include <gmock/gmock.h>

#include "../session/temp_tree.h"

namespace callgate {
namespace {

constexpr int64_t kNow = 1'767'225'600'000'000'000;
constexpr size_t kRoom = 2000;

class CounterTurnsTest : public ::testing::Test {
  protected:
    // One life of an agent, which ends as if by SIGKILL: what waits is gone.
    struct Life {
        explicit Life(const std::string& path) {
            std::string remark;
            file = std::move(CounterFile::open(path, remark).value());
            file->each([&](uint32_t cell, std::string_view key, const CounterImage& image) {
                EXPECT_TRUE(table.restore(cell, key, image, kNow));
            });
            turns = std::make_unique<CounterTurns>(*file);
            table.keep_in(*turns);
        }
        void charge(std::string_view key, CounterKind kind = CounterKind::calendar) {
            CounterDemand demand;
            demand.key = key;
            demand.counter = "c";
            demand.max = 1000;
            demand.kind = kind;
            ASSERT_TRUE(table.reserve(std::vector{demand}, kNow, charged).granted);
        }
        std::string counts() const {
            std::string out;
            for (const auto& row : table.rows(kNow)) out += row.key + " " + std::to_string(row.count) + ";";
            return out;
        }
        std::unique_ptr<CounterFile> file;
        CounterTable table;
        std::unique_ptr<CounterTurns> turns;
        std::vector<CounterUse> charged;
    };
    std::string in_file() const { return Life(path_).counts(); }
    TempTree tree_;
    std::string path_ = tree_.path("/counters");
};

TEST_F(CounterTurnsTest, OutsideOfTurnsEachChangeIsInTheFileAtOnce) {
    auto life = std::make_unique<Life>(path_);
    life->charge("a");
    EXPECT_EQ(life->table.turn_text(kRoom), "");
    life.reset();
    EXPECT_EQ(in_file(), "a 1;");
}

TEST_F(CounterTurnsTest, WhatWasNotCommittedDoesNotCount) {
    auto life = std::make_unique<Life>(path_);
    life->charge("a");
    life->turns->begin_turn();
    life->charge("a");
    life->charge("b", CounterKind::sliding);
    EXPECT_EQ(life->counts(), "a 2;b 1;");
    life.reset();
    EXPECT_EQ(in_file(), "a 1;");
}

TEST_F(CounterTurnsTest, WhatWasCommittedCountsOnce) {
    std::string committed;
    {
        Life life(path_);
        life.charge("a");
        life.turns->begin_turn();
        life.charge("a");
        life.charge("b", CounterKind::sliding);
        life.charge("b", CounterKind::sliding);
        committed = life.table.turn_text(kRoom);
        EXPECT_NE(committed, "");
    }
    for (int lives = 0; lives < 2; ++lives) {
        Life next(path_);
        EXPECT_EQ(next.counts(), lives == 0 ? "a 1;" : "a 2;b 2;");
        next.table.redo(committed, kNow);
        EXPECT_EQ(next.counts(), "a 2;b 2;");
        next.charge("b", CounterKind::sliding);
        EXPECT_EQ(next.counts(), "a 2;b 3;");
        next.table.roll_back(next.charged);
    }
    EXPECT_EQ(in_file(), "a 2;b 2;");
}

TEST_F(CounterTurnsTest, SoDoesWhatIsGivenBack) {
    std::string committed;
    {
        Life life(path_);
        life.charge("a");
        life.charge("a");
        life.turns->begin_turn();
        life.table.roll_back(life.charged);
        EXPECT_EQ(life.counts(), "a 1;");
        committed = life.table.turn_text(kRoom);
    }
    EXPECT_EQ(in_file(), "a 2;");
    for (int lives = 0; lives < 2; ++lives) Life(path_).table.redo(committed, kNow);
    EXPECT_EQ(in_file(), "a 1;");
}

TEST_F(CounterTurnsTest, WhatIsInTheFileIsNotMadeAgain) {
    std::string committed;
    {
        Life life(path_);
        life.turns->begin_turn();
        life.charge("a");
        committed = life.table.turn_text(kRoom);
        life.table.write_turn();
        life.turns->end_turn();
        life.charge("a");
    }
    Life next(path_);
    next.table.redo(committed, kNow);
    EXPECT_EQ(next.counts(), "a 2;");
}

TEST_F(CounterTurnsTest, OfAnotherFileNothingIsMade) {
    std::string committed;
    {
        Life life(path_);
        life.turns->begin_turn();
        life.charge("a");
        committed = life.table.turn_text(kRoom);
    }
    Life other(tree_.path("/other"));
    other.table.redo(committed, kNow);
    EXPECT_EQ(other.counts(), "");
    for (size_t bytes = 0; bytes < committed.size(); ++bytes) {
        Life cut(path_);
        cut.table.redo(std::string_view(committed).substr(0, bytes), kNow);
        EXPECT_EQ(cut.counts(), "") << bytes;
    }
}

TEST_F(CounterTurnsTest, WhereThereIsNoRoomToCommitItNothingWaits) {
    auto life = std::make_unique<Life>(path_);
    life->turns->begin_turn();
    for (int i = 0; i < 40; ++i) life->charge("counter " + std::to_string(i));
    EXPECT_EQ(life->table.turn_text(kRoom), "");
    const std::string all = life->counts();
    life.reset();
    EXPECT_EQ(in_file(), all);
    life = std::make_unique<Life>(path_);
    life->turns->begin_turn();
    for (size_t i = 0; i < CounterTurns::kChangesMost + 1; ++i) life->charge("other " + std::to_string(i));
    life.reset();
    EXPECT_THAT(in_file(), ::testing::HasSubstr("other 63 1;"));
    EXPECT_THAT(in_file(), ::testing::Not(::testing::HasSubstr("other 64 1;")));
}

TEST_F(CounterTurnsTest, InnerTurnsEndWithTheOuterOne) {
    auto life = std::make_unique<Life>(path_);
    {
        const CounterTable::Turn outer(life->table);
        {
            const CounterTable::Turn inner(life->table);
            life->charge("a");
        }
        EXPECT_NE(life->table.turn_text(kRoom), "");
    }
    EXPECT_EQ(life->table.turn_text(kRoom), "");
    life.reset();
    EXPECT_EQ(in_file(), "a 1;");
}

TEST_F(CounterTurnsTest, ACounterThatIsResetInATurnIsGone) {
    auto life = std::make_unique<Life>(path_);
    life->charge("a");
    {
        const CounterTable::Turn turn(life->table);
        life->charge("a");
        EXPECT_EQ(life->table.reset([](std::string_view) { return true; }), 1u);
    }
    life.reset();
    EXPECT_EQ(in_file(), "");
}

}  // namespace
}  // namespace callgate
