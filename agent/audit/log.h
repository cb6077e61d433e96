// AuditLog: a bounded queue and one writer thread that appends JSON lines to a file (created 0600).
//
// message() and event() never block and never fail: when the queue is full the record is counted, and as soon
// as there is room a {"type":"gap","lost":N} record is written in its place. Order in the file is the order
// of calls. Records taken = written() + lost() once the log is idle.
//
//   auto log = TRY(AuditLog::open("/var/log/callgate/audit.jsonl", "/var/lib/callgate/audit.secret"));
//   auto session = log->describe(facts);
//   RecordId id = log->message(session, record);   -> one line, see record.h
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/record.h"
#include "audit/record_id.h"
#include "base/result.h"

namespace callgate {

class AuditSession;  // SessionFacts serialised once; shared with the writer thread

class AuditLog {
  public:
    // `path`: created 0600, appended to; a symlink, or an existing file that others can write, is refused.
    // The host's hash secret is `secret_path` (32 bytes, 0600, made where absent). Their directories are made
    // where absent.
    static Result<std::unique_ptr<AuditLog>> open(const std::string& path, const std::string& secret_path,
                                                  AuditArguments arguments = AuditArguments::hash);
    ~AuditLog();  // writes what is queued
    AuditLog(const AuditLog&) = delete;
    AuditLog& operator=(const AuditLog&) = delete;

    // Any thread.
    std::shared_ptr<const AuditSession> describe(const SessionFacts& facts) const;
    // Returns the record's id, which the answer's record refers to. One thread: the relay's.
    RecordId message(const std::shared_ptr<const AuditSession>& session, const MessageRecord& record);
    // type: "session_start", "session_end", "session_blind", "agent_start", "agent_stop", "policy_problem", …
    // `members`: further members, in order; each value is raw JSON. `session` may be null. Any thread.
    void event(std::string_view type, const std::shared_ptr<const AuditSession>& session,
               const std::vector<std::pair<std::string, std::string>>& members);
    // Reopens the path (after rotation). Any thread; does not wait: records of the last milliseconds go to
    // either file.
    void reopen();

    uint64_t written() const;
    uint64_t lost() const;

  private:
    struct State;
    explicit AuditLog(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace callgate
