// CounterFile: the counters of a CounterTable in a file that is mapped into memory, so that they survive the agent.
//
// Every charge is in the file before the call goes on. What a killed agent had written is in the kernel's page cache and
// so is there for the next one; a thread of its own writes it to the disk every kCounterSyncInterval, so that a power cut
// loses no more than the last second.
//
//   header  4096 bytes: magic, version, bytes of a cell, checksum; behind them which file this is, and its last turn
//   cell     512 bytes: who it is (key, window, kind) under a checksum, and two states, each with a sequence number under
//            a checksum. The older state is overwritten, so that one that was torn in the middle leaves the other.
//
// One agent at a time has the file (flock(2)). A file of a newer version is an error; one that is no such file, or is
// damaged at its head, is moved aside. A cell that is damaged is left out and counted. The file grows by kGrowCells, its
// blocks reserved; where there is no room, new counters are kept in memory only, and counted as unsaved(). Once there is room
// again, each is in the file from its next charge on.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/result.h"
#include "base/trouble.h"
#include "policy/counters.h"

namespace callgate {

class CounterFile final : public CounterStore {
  public:
    // Creates the file, 0600, where there is none. What was wrong and could be helped is in `remark`.
    static Result<std::unique_ptr<CounterFile>> open(const std::string& path, std::string& remark);
    ~CounterFile() override;  // writes everything to the disk

    // Every undamaged cell.
    void each(const std::function<void(uint32_t cell, std::string_view key, const CounterImage&)>& use) const;
    bool save(uint32_t cell, std::string_view key, const CounterImage& image) override;
    void erase(uint32_t cell) override;

    // This file, and no other, whatever becomes of it; never 0.
    uint64_t id() const;
    // The last turn whose changes are all in it (counter_turns.h).
    uint64_t last_turn() const;
    void set_last_turn(uint64_t turn);

    uint64_t damaged() const { return damaged_; }  // cells that each() left out
    uint64_t unsaved() const { return unsaved_; }  // changes that found no room
    // While there is no room.
    Trouble& trouble() { return trouble_; }

  private:
    CounterFile(std::string path, Fd file) : path_(std::move(path)), file_(std::move(file)) {}
    struct Cell;
    struct Turns;
    Turns& turns() const;
    Status map();
    Status write_header();
    enum class Head { good, empty, damaged, newer };
    Head read_head() const;
    bool has_cell(uint32_t number);
    bool reserve(size_t cells);
    Cell& cell(uint32_t number) const;
    void use_cell(uint32_t number, const Cell& found,
                  const std::function<void(uint32_t cell, std::string_view key, const CounterImage&)>& use) const;
    void start_syncing();
    void sync();

    std::string path_;
    Fd file_;
    std::byte* memory_ = nullptr;
    size_t cells_ = 0;     // whose blocks are reserved
    size_t readable_ = 0;  // that are in the file
    mutable uint64_t damaged_ = 0;
    uint64_t unsaved_ = 0;
    int64_t retry_at_ns_ = 0;  // monotonic; no room was found
    Trouble trouble_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool stopping_ = false;
    std::atomic<bool> dirty_ = false;
    std::atomic<size_t> mapped_cells_ = 0;
    std::thread thread_;
};

}  // namespace callgate
