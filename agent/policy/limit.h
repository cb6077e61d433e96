// Limit: at most so many calls (or so large a sum) in a window, or so many calls at a time, and what to say when there
// were more. Compiled once; immutable.
//
//   {"counter":"c","window":"minute","max":30,"scope":"grant"} on "session_complete"
//   -> rule    /tools/session_complete/limits/c
//      reason  Limit of 30 calls a minute for "session_complete" reached (counter c, per grant).
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/counters.h"

namespace callgate {

// Who shares a count. user: every client process of one uid; tool: every caller of one entry under "tools"; host: every caller
// of every server that has a counter of this name.
enum class Scope : uint8_t { grant, user, session, tool, server, host };

// A leap year. Longer windows would outlive the agent's memory of them.
inline constexpr int64_t kWindowSecondsMax = int64_t{366} * 86400;
// Counts stay exact in every JSON reader.
inline constexpr int64_t kLimitCountMax = (int64_t{1} << 53) - 1;

inline constexpr std::array<std::pair<std::string_view, int64_t>, 4> kWindowNames = {
    {{"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}}};
inline constexpr std::array<std::pair<std::string_view, Scope>, 6> kScopeNames = {{{"grant", Scope::grant},
                                                                                   {"user", Scope::user},
                                                                                   {"session", Scope::session},
                                                                                   {"tool", Scope::tool},
                                                                                   {"server", Scope::server},
                                                                                   {"host", Scope::host}}};

struct Limit {
    std::string counter;
    CounterKind kind = CounterKind::calendar;
    int64_t window_s = 60;
    int64_t max = 0;                       // calls, or whole units of what is summed
    int64_t increment = 1;                 // what one call counts
    std::string increment_from;            // "args.amount": what one call counts is this argument; empty: `increment`
    std::vector<std::string> amount_path;  // the same as names of members
    bool count_failed = false;             // a result that has isError counts
    bool count_unanswered = true;          // so does a call that is cancelled, or that nobody ever answers
    int64_t max_delay_ms = 0;              // how long a call may wait for room; 0: it is denied at once
    Scope scope = Scope::grant;
    std::string rule;
    std::string reason;
    std::string amount_reason;  // beginning of what is said of an amount that cannot be summed
    std::string key_suffix;     // end of the counter's key: tool, counter and window

    bool sums() const { return !amount_path.empty(); }
};

// Begins each part of a counter's key after the first; no name in a policy contains it.
inline constexpr char kKeySeparator = '\x1f';

// Fills reason, amount_reason and key_suffix. `tool`: the tool's key in the policy, empty for all tools together.
void describe(Limit& limit, std::string_view tool);

}  // namespace callgate
