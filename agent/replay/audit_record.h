// AuditRecord: one line of an audit file, read back. Values of arguments keep the tokens that they were
// recorded with.
//
//   {"time":"2026-11-03T08:15:30.000000001Z","id":"01…","type":"message","direction":"c2s","method":"tools/call","tool":"pay",
//    "arguments":{"amount":1e2},"decision":"allow",…}
//   -> type "message", time_ns 1793693730000000001, call.name "pay", call.arguments `{"amount":1e2}`, was
//   allow
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/trial_call.h"
#include "policy/unrecorded.h"

namespace callgate {

struct AuditRecord {
    std::string type, id, time, session, transport;
    int64_t time_ns = 0;  // realtime

    // A message.
    bool is_asked = false;  // a request or notification that was judged: not refused, no response
    bool is_refused = false;
    TrialCall call;       // with what is recorded of the caller, the server and the values
    RecordedFacts facts;  // what of it is known
    TrialOutcome was = TrialOutcome::allow;
    bool is_decided_by_human = false;  // an approval was used, or denied
    std::string rule, policy;
    bool says_client = false;  // the message itself says who the client is
    std::string answers;       // a response: id of the request's record
    std::string outcome;       // "ok", "tool_error", "error"
    int64_t lost = 0;          // a gap
};

// Nothing where the line is no audit record.
std::optional<AuditRecord> parse_audit_record(std::string_view line);

}  // namespace callgate
