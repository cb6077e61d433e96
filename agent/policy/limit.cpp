#include "policy/limit.h"

#include "policy/nearest_key.h"

namespace callgate {
namespace {

std::string window_phrase(const Limit& limit) {
    if (limit.kind == CounterKind::in_flight) return "at a time";
    for (const auto& [word, seconds] : kWindowNames) {
        if (seconds != limit.window_s) continue;
        return (word == "hour" ? "an " : "a ") + std::string(word);
    }
    return "in " + std::to_string(limit.window_s) + " seconds";
}

std::string what_phrase(const Limit& limit) {
    const std::string max = std::to_string(limit.max);
    if (limit.sums()) return max + " (sum of " + printable(limit.increment_from) + ") ";
    if (limit.increment != 1) return max + " (each call counts " + std::to_string(limit.increment) + ") ";
    return max + (limit.max == 1 ? " call " : " calls ");
}

std::string_view name(Scope scope) {
    for (const auto& [word, value] : kScopeNames) {
        if (value == scope) return word;
    }
    return "";
}

// Limits of different meaning never share a cell, under whatever names.
std::string key_of(const Limit& limit, std::string_view tool) {
    std::string key;
    if (limit.scope != Scope::host) {
        key += kKeySeparator;
        key += tool;
    }
    key += kKeySeparator + limit.counter + kKeySeparator;
    if (limit.kind == CounterKind::in_flight) return key + "in flight";
    // The window is part of the key: sessions that run under an older revision of the policy, with another
    // window, must not reset each other's count.
    key += std::to_string(limit.window_s);
    if (limit.kind == CounterKind::sliding) key += " sliding";
    if (limit.sums()) key += " sum";
    return key;
}

}  // namespace

void describe(Limit& limit, std::string_view tool) {
    const std::string counter = "counter " + printable(limit.counter) + ", per " + std::string(name(limit.scope));
    limit.reason = "Limit of " + what_phrase(limit) + window_phrase(limit) + " for " +
                   (tool.empty() ? "all tools" : in_quotes(tool)) + " reached (" + counter + ").";
    if (limit.sums()) {
        limit.amount_reason =
            "Argument " + in_quotes(printable(limit.increment_from)) + ", which a limit sums (" + counter + "), ";
    }
    limit.key_suffix = key_of(limit, tool);
}

}  // namespace callgate
