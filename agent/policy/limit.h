// Limit: at most so many calls in a window, and what to say when there were more. Compiled once; immutable.
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

namespace callgate {

enum class Scope : uint8_t { grant, session, server };

// A leap year. Longer windows would outlive the agent's memory of them.
inline constexpr int64_t kWindowSecondsMax = int64_t{366} * 86400;
// Counts stay exact in every JSON reader.
inline constexpr int64_t kLimitCountMax = (int64_t{1} << 53) - 1;

inline constexpr std::array<std::pair<std::string_view, int64_t>, 4> kWindowNames = {
    {{"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}}};
inline constexpr std::array<std::pair<std::string_view, Scope>, 3> kScopeNames = {
    {{"grant", Scope::grant}, {"session", Scope::session}, {"server", Scope::server}}};

struct Limit {
    std::string counter;
    int64_t window_s = 60;
    int64_t max = 0;
    Scope scope = Scope::grant;
    std::string rule;
    std::string reason;
    std::string key_suffix;  // end of the counter's key: tool, counter and window
};

// Begins each part of a counter's key after the first; no name in a policy contains it.
inline constexpr char kKeySeparator = '\x1f';

// Fills reason and key_suffix. `tool`: the tool's key in the policy, empty for all tools together.
void describe(Limit& limit, std::string_view tool);

}  // namespace callgate
