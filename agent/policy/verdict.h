// What a policy says of one call.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace callgate {

enum class Action : uint8_t { allow, deny };

// What a human names a request for approval by: ten letters and digits. Empty: none.
struct ApprovalId {
    std::array<char, 10> text{};
    std::string_view view() const { return {text.data(), text[0] ? text.size() : 0}; }
    bool operator==(const ApprovalId&) const = default;
};

// One counter touched by a call; kept with the call in flight so that it can be rolled back into its own window.
struct CounterUse {
    uint64_t key = 0;            // cell and its generation; only CounterTable reads it
    int64_t window_start_s = 0;  // the window that was charged, seconds since the epoch, UTC
    int64_t amount = 0;
    int64_t count_after = 0;  // value after this call, for the audit record
    int64_t max = 0;
    std::string_view counter;         // name; lives as long as the policy
    int64_t slice = 0;                // of the window that was charged; only CounterTable reads it
    int32_t scale = 1;                // amount, count_after and max are this many times what the record shows
    bool keeps_failed = false;        // stays charged when the result has isError
    bool returns_unanswered = false;  // given back when the call is cancelled, or never answered
    bool is_in_flight = false;        // no window: one call less when this one is over
};

struct Verdict {
    Action action = Action::allow;
    int code = 0;             // kCodeDenied, kCodeOverLimit, kCodeApproval; 0 where allowed
    std::string_view rule;    // "/tools/x/limits/c", "(hidden)", "(default deny)"; empty where allowed
    std::string_view reason;  // human text; lives as long as the policy or until this thread judges again
    std::optional<int64_t> retry_after_ms;
    std::vector<CounterUse> charged;  // reserved, all or nothing; empty where denied
    // What a human has approved of it, taken until it is used or given back; empty where denied.
    std::vector<ApprovalId> approvals;
    // Where it is denied because a human has not approved it, or has denied it: by that name, until then (realtime).
    ApprovalId approval;
    int64_t approval_expires_ns = 0;
    // Where it may wait instead of being denied: how long, and in which line, of a counter or of an approval. The key lives until
    // this thread judges again.
    int64_t max_delay_ms = 0;
    std::string_view delay_key;

    void deny(int with_code, std::string_view by_rule, std::string_view because) {
        action = Action::deny;
        code = with_code;
        rule = by_rule;
        reason = because;
    }
    // As before a message is judged, with the memory that it had.
    void reset() {
        action = Action::allow;
        code = 0;
        rule = reason = {};
        retry_after_ms.reset();
        charged.clear();
        approvals.clear();
        approval = {};
        approval_expires_ns = 0;
        max_delay_ms = 0;
        delay_key = {};
    }
};

}  // namespace callgate
