// ApprovalDesk: whom the policy asks whether a human has approved a call. Where nobody can be asked (a policy
// in shadow mode, `callgate explain`) a call that needs approval is denied, and no more.
//
//   is_approved(wire_money {"amount": 5})  ->  false: the verdict denies with -32003, and says the id to
//   approve … a human approves it … is_approved(the same call)             ->  true: the verdict holds the
//   approval; then its limits are reserved use(verdict.approvals)                 ->  it is spent, on the
//   disk; the call may go on.  Or give_back(…): it is not
//
// One thread: the relay's.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/verdict.h"

namespace callgate {

struct Caller;

// What one policy says of approvals.
struct ApprovalRules {
    int64_t timeout_s = 1800;     // what is not decided or used by then is forgotten
    int64_t dedupe_window_s = 0;  // so long a decision is for every call that says the same
    std::string webhook_url;      // who is told; empty: nobody
    // Members of `_meta` that are another in every call of this policy's clients, beside those that are known
    // (fingerprint.h): they do not make it another call.
    std::vector<std::string> ignored_meta;
};

struct ApprovalQuestion {
    std::string_view method, tool;  // tool: or the name within another method
    std::string_view arguments;     // a JSON object; "" as if it were {}
    std::string_view params;        // of the whole message; the same
    bool is_carried = false;        // one of several calls of one message
    bool are_params = false;        // `arguments` are the params: of a method that has no arguments beside others
    std::string_view policy, revision;
    const ApprovalRules* rules = nullptr;
    int64_t timeout_s = 0, hold_ms = 0;  // of this entry
    std::string_view rule, reason;
    const Caller* caller = nullptr;
};

class ApprovalDesk {
  public:
    virtual ~ApprovalDesk() = default;
    // True: `verdict` takes the approval, and it must be used or given back. False: `verdict` denies.
    virtual bool is_approved(const ApprovalQuestion& question, int64_t now_ns, Verdict& verdict) = 0;
    // All of them, or none and an error: then they are given back. `turn`: CounterTable::turn().
    virtual Status use(std::span<const ApprovalId> approvals, int64_t now_ns, std::string_view turn) = 0;
    virtual void give_back(std::span<const ApprovalId> approvals) = 0;
};

}  // namespace callgate
