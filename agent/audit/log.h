// AuditLog: a bounded queue and one writer thread that appends JSON lines to a file (created 0600).
//
// message() and event() never block and never fail: when the queue is full the record is counted, and as soon
// as there is room a {"type":"gap","lost":N} record is written in its place. Order in the file is the order
// of calls. Records taken = written() + lost() once the log is idle.
//
// With KeptMemory the queue outlives this process: what it took the next one writes, with the same id. A record that was being
// written to the file at that instant may then be there twice. A message that led to nothing yet, because its session's ledger
// was not committed, is judged anew and has no record from before: see Turn and settle().
//
//   auto log = TRY(AuditLog::open("/var/log/callgate/audit.jsonl", "/var/lib/callgate/audit.secret"));
//   auto session = log->describe(facts);
//   RecordId id = log->message(session, record);   -> one line, see record.h
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/record.h"
#include "audit/record_id.h"
#include "base/kept_memory.h"
#include "base/result.h"

namespace callgate {

class ArgumentsHash;
class AuditFile;
class Trouble;
class AuditSession;  // SessionFacts serialised once; shared with the writer thread

class AuditLog {
  public:
    // `path`: created 0600, appended to; a symlink, or an existing file that others can write, is refused.
    // The host's hash secret is `secret_path` (32 bytes, 0600, made where absent). Their directories are made
    // where absent.
    // `memory` outlives the log; settle() comes before the first message.
    static Result<std::unique_ptr<AuditLog>> open(const std::string& path, const std::string& secret_path,
                                                  AuditArguments arguments = AuditArguments::hash, KeptMemory* memory = nullptr);
    // Says nothing to anybody.
    static Result<std::unique_ptr<AuditLog>> open_nowhere();
    ~AuditLog();  // writes what is queued
    AuditLog(const AuditLog&) = delete;
    AuditLog& operator=(const AuditLog&) = delete;

    // The process before was killed: which of its records have led to something? `is_committed(session, number)`: the
    // session's ledger says so. Waits until what it had taken is written.
    void settle(const std::function<bool(std::string_view session_id, uint32_t number)>& is_committed);

    // Any thread.
    std::shared_ptr<const AuditSession> describe(const SessionFacts& facts) const;
    // Returns the record's id, which the answer's record refers to. One thread: the relay's.
    RecordId message(const std::shared_ptr<const AuditSession>& session, const MessageRecord& record);
    // What is recorded while there is one becomes part of the log at its end, when ledgers have been committed. The same thread.
    class Turn {
      public:
        explicit Turn(AuditLog& log) : log_(log) { ++log.turns_; }
        ~Turn() {
            if (--log_.turns_ == 0) log_.publish();
        }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

      private:
        AuditLog& log_;
    };
    // type: "session_start", "session_end", "session_blind", "agent_start", "agent_stop", "policy_problem", …
    // `members`: further members, in order; each value is raw JSON. `session` may be null. Any thread.
    void event(std::string_view type, const std::shared_ptr<const AuditSession>& session,
               const std::vector<std::pair<std::string, std::string>>& members);
    // Reopens the path (after rotation). Any thread; does not wait: records of the last milliseconds go to
    // either file.
    void reopen();

    uint64_t written() const;
    uint64_t lost() const;
    // While the file takes nothing, and so records are lost.
    Trouble& trouble();

  private:
    struct State;
    explicit AuditLog(std::unique_ptr<State> state);
    static Result<std::unique_ptr<AuditLog>> make(const ArgumentsHash& hash, AuditArguments arguments, AuditFile file,
                                                  KeptMemory* memory);
    void publish();
    std::unique_ptr<State> state_;
    unsigned turns_ = 0;
};

}  // namespace callgate
