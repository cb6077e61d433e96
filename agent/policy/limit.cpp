#include "policy/limit.h"

#include "policy/nearest_key.h"

namespace callgate {
namespace {

std::string phrase(int64_t window_s) {
    for (const auto& [word, seconds] : kWindowNames) {
        if (seconds != window_s) continue;
        return (word == "hour" ? "an " : "a ") + std::string(word);
    }
    return "in " + std::to_string(window_s) + " seconds";
}

std::string_view name(Scope scope) {
    for (const auto& [word, value] : kScopeNames) {
        if (value == scope) return word;
    }
    return "";
}

}  // namespace

void describe(Limit& limit, std::string_view tool) {
    limit.reason = "Limit of " + std::to_string(limit.max) + (limit.max == 1 ? " call " : " calls ") +
                   phrase(limit.window_s) + " for " + (tool.empty() ? "all tools" : in_quotes(tool)) +
                   " reached (counter " + printable(limit.counter) + ", per " +
                   std::string(name(limit.scope)) + ").";
    // The window is part of the key: sessions that run under an older revision of the policy, with another
    // window, must not reset each other's count.
    limit.key_suffix = kKeySeparator + std::string(tool) + kKeySeparator + limit.counter + kKeySeparator +
                       std::to_string(limit.window_s);
}

}  // namespace callgate
