// CounterTurns: what the calls of one turn of a session are charged, or give back, becomes valid together with whatever
// else the turn has led to: a process that is killed at any instant, and the one that goes on, count each call once.
//
//   begin_turn()   save() … save()        changes wait; the file is as it was
//   text()         ─► the session's ledger is committed with it
//   write()                               … and then they are in the file
//   (killed)       the next agent, from the ledger of each session: redo(text), which does what write() had not done
//
// Turns are numbered in the file, which says which one it has last: what a ledger says of earlier ones, or of another file, is
// over. Outside of turns each change is in the file at once; in one that nobody commits, at its end; in one of more counters than
// there is room for, before it is committed, so that a call may count twice. One thread.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/counter_file.h"

namespace callgate {

class CounterTurns final : public CounterStore {
  public:
    explicit CounterTurns(CounterFile& file) : file_(file) {}

    bool save(uint32_t cell, std::string_view key, const CounterImage& image) override;
    void erase(uint32_t cell) override;
    void begin_turn() override { ++depth_; }
    void end_turn() override;
    std::string_view text(size_t bytes_max) override;
    std::string turn() override;
    std::string unfinished() override;
    void write() override;
    void redo(std::string_view text, const Redone& redone) override;

    static constexpr size_t kChangesMost = 64;

  private:
    struct Change {
        uint32_t cell = 0;
        std::string key;
        CounterImage what{};  // but for its slices
        std::array<int64_t, kSlidingSlices + 1> slices{};
        size_t slices_used = 0;
        CounterImage image() const;
    };
    std::span<Change> changes() { return {changes_.data(), used_}; }

    CounterFile& file_;
    int depth_ = 0;
    std::vector<Change> changes_;  // those behind used_ are of earlier turns: their memory is used again
    size_t used_ = 0;
    bool is_named_ = false;  // something else goes by its number
    std::string text_;
};

}  // namespace callgate
