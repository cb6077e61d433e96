#include "policy/judge_limits.h"

#include <utility>

#include "jsonrpc/answer.h"

namespace callgate {
namespace {

constexpr std::string_view kRuleTableFull = "(counter table full)";

// One per thread: reused by every call, so that judging allocates nothing once it has grown.
struct Scratch {
    std::string keys;  // of all counters of one call, one after the other
    std::vector<CounterDemand> demands;
};
thread_local Scratch scratch;

std::pair<char, std::string_view> scope_value(Scope scope, const Caller& caller) {
    switch (scope) {
        case Scope::grant:
            return {'g', caller.grant};
        case Scope::session:
            return {'s', caller.session};
        case Scope::server:
            return {'*', {}};
    }
    return {'*', {}};
}

size_t key_length(const Limit& limit, const Caller& caller) {
    return caller.server.size() + scope_value(limit.scope, caller).second.size() + limit.key_suffix.size() +
           3;
}

// keys must have room: the demands hold views into it.
void add_demand(const Limit& limit, const Caller& caller) {
    std::string& keys = scratch.keys;
    const size_t start = keys.size();
    const auto [letter, value] = scope_value(limit.scope, caller);
    keys += caller.server;
    keys += kKeySeparator;
    keys += letter;
    keys += ':';
    keys += value;
    keys += limit.key_suffix;
    scratch.demands.push_back({.key = std::string_view(keys).substr(start),
                               .counter = limit.counter,
                               .window_s = limit.window_s,
                               .max = limit.max});
}

}  // namespace

void judge_limits(const std::vector<Limit>& own, const std::vector<Limit>& all, const Caller& caller,
                  int64_t now_ns, CounterTable& counters, Verdict& verdict) {
    size_t length = 0;
    for (const Limit& limit : own) length += key_length(limit, caller);
    for (const Limit& limit : all) length += key_length(limit, caller);
    scratch.keys.clear();
    scratch.keys.reserve(length);
    scratch.demands.clear();
    for (const Limit& limit : own) add_demand(limit, caller);
    for (const Limit& limit : all) add_demand(limit, caller);

    const Reservation reservation = counters.reserve(scratch.demands, now_ns, verdict.charged);
    if (reservation.granted) return;
    if (reservation.table_full) {
        verdict.deny(kCodeOverLimit, kRuleTableFull,
                     "The agent counts too many callers at once to admit another.");
        verdict.retry_after_ms = reservation.retry_after_ms;
        return;
    }
    const size_t i = reservation.exceeded;
    const Limit& limit = i < own.size() ? own[i] : all[i - own.size()];
    verdict.deny(kCodeOverLimit, limit.rule, limit.reason);
    if (limit.max > 0) verdict.retry_after_ms = reservation.retry_after_ms;  // with 0, waiting never helps
}

}  // namespace callgate
