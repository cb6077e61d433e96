// Replay: what a policy would have decided on recorded traffic. Every recorded message is judged by it as if
// it came now, with what the record says of caller and server, counters that begin at nothing, and the
// record's time as the clock.
//
//   recorded: 12 calls of session_complete in a minute, all allowed; the policy now allows 10 a minute
//   -> {"session_complete", was allow, now limit, /tools/session_complete/limits/c, 2 calls, first at
//   08:15:49}
//
// A call that failed gives back what it was charged, as the recorded answer says. One that would have waited
// for room is charged where there is room. Messages of one array over HTTP stand or fall together. The
// policy's mode is not looked at: what it says counts, not whether it is enforced. What depends on a value
// that was not recorded is unknown, and never guessed.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "replay/audit_record.h"

namespace callgate {

// One message that is decided in another way, or cannot be.
struct Difference {
    std::string subject;  // the tool, else the method and what it names
    TrialOutcome was = TrialOutcome::allow;
    std::string now;       // "allow", "deny", "limit", "approval", "unknown"
    std::string rule;      // by which it is denied now, or was denied before; of the unknown: what was not recorded
    std::string id, time;  // of the first
    size_t count = 1;
};

struct ReplayReport {
    size_t judged = 0, different = 0, unknown = 0;
    size_t other_servers = 0, refused = 0, unreadable = 0;  // not judged
    int64_t lost = 0;                                       // records that the log itself says are missing
    std::vector<Difference> table;                          // those that are alike together; in the order of the first of each
    std::vector<Difference> each;                           // all of them, where that was asked for
};

struct ReplayScope {
    bool any_server = false;  // messages of servers that the policy does not name are judged, too
    bool keep_each = false;
};

class Replay {
  public:
    Replay(std::shared_ptr<const Policy> policy, ReplayScope scope) : policy_(std::move(policy)), scope_(scope) {}

    // In the order of their time.
    void take(AuditRecord record);
    // After the last record.
    const ReplayReport& finish();

  private:
    struct Client {
        std::string name, version;
    };
    struct Charge {
        std::vector<CounterUse> uses;
        std::string session;
    };
    struct Judged {
        AuditRecord record;
        Verdict verdict;
        std::string rule;  // the verdict's own lives as long as nothing else is judged
        TrialOutcome now = TrialOutcome::allow;
        std::string_view missing;
        bool is_counted = true;  // false: not a message that can be judged
    };

    bool governs(const AuditRecord& record) const;
    bool belongs_to_array(const AuditRecord& record) const;
    void remember_client(AuditRecord& record);
    void judge_array();
    Judged judge(AuditRecord record);
    void wait_for_room(const Trial& trial, int64_t now_ns, Verdict& verdict);
    void count(const Judged& judged);
    void settle(const std::string& request, CallEnd end);
    void end_session(const std::string& session);

    std::shared_ptr<const Policy> policy_;
    ReplayScope scope_;
    CounterTable counters_;
    std::vector<AuditRecord> array_;                     // messages that came together
    std::unordered_map<std::string, Client> clients_;    // of sessions whose beginning, or client, has been seen
    std::unordered_map<std::string, Charge> in_flight_;  // by id of the request's record
    std::map<std::tuple<std::string, TrialOutcome, std::string, std::string>, size_t> rows_;  // index in table
    ReplayReport report_;
};

}  // namespace callgate
