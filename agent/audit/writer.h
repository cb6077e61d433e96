// AuditWriter: the thread that turns queued records into lines and appends them to the file, many at a time.
//
// It sleeps while there is nothing to do, and otherwise lets records gather for kBatchMilliseconds. What
// cannot be written is counted, and the first line that can be written says how much is missing.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "audit/audit_file.h"
#include "audit/byte_ring.h"
#include "audit/event_queue.h"
#include "audit/retired_sessions.h"
#include "audit/wake_up.h"
#include "base/trouble.h"

namespace callgate {

// Shared between whoever queues and the writer.
struct AuditQueues {
    AuditQueues(std::span<std::byte> memory, const KeptSessions& sessions, WakeUp wake)
        : messages(memory), kept_end(messages.head()), kept(sessions), wake_up(std::move(wake)) {}
    ByteRing messages;
    const uint64_t kept_end;  // position: what comes before was queued by a process that is gone
    const KeptSessions& kept;
    EventQueue events;
    std::atomic<uint64_t> lost_since_record{0};  // found a queue full and not yet told in a gap record
    std::atomic<uint64_t> lost{0}, written{0};   // in total
    Trouble trouble;                             // of the file; records are lost meanwhile
    WakeUp wake_up;
    std::mutex writing;                   // of those who wait:
    std::condition_variable written_all;  // no message is queued any more
};

class AuditWriter {
  public:
    static constexpr int kBatchMilliseconds = 5;
    static constexpr size_t kWriteBytes = size_t{256} << 10;

    AuditWriter(AuditFile file, AuditQueues& queues, RetiredSessions& retired);
    ~AuditWriter();  // writes what is queued, then ends the thread
    void reopen();

  private:
    struct Line {
        size_t end;        // offset in buffer_
        uint64_t records;  // 1, or 0 for a gap
        uint64_t lost;     // what a gap tells
    };
    void run();
    bool drain();      // true where there was something
    bool take_next();  // one record or event into the buffer
    void add_gap(uint64_t lost);
    void end_line(uint64_t records, uint64_t lost);
    void flush();
    bool write_missing();
    void wait_for_work();

    AuditFile file_;
    AuditQueues& queues_;
    RetiredSessions& retired_;
    RecordText text_;
    RecordIdMaker ids_;
    std::string buffer_;
    std::vector<Line> lines_;
    uint64_t unwritten_ = 0;  // records that a failed write lost and no gap record has told yet
    std::atomic<bool> is_stopping_{false}, is_reopening_{false};
    std::thread thread_;
};

}  // namespace callgate
