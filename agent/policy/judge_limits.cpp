#include "policy/judge_limits.h"

#include <sodium.h>

#include <array>
#include <charconv>
#include <utility>

#include "base/limits.h"
#include "jsonrpc/answer.h"
#include "policy/amount.h"

namespace callgate {
namespace {

constexpr std::string_view kRuleTableFull = "(counter table full)";

// One per thread: reused by every call, so that judging allocates nothing once it has grown.
struct Scratch {
    std::string keys;  // of all counters of one call, one after the other
    std::vector<CounterDemand> demands;
    std::string reason;  // of an amount that cannot be summed
    std::array<char, 16> user;
};
thread_local Scratch scratch;

// Clients on other hosts are one.
std::string_view user_of(const Caller& caller) {
    if (caller.peer == nullptr || caller.peer->process.pid == 0) return {};
    std::array<char, 16>& text = scratch.user;
    return {text.data(), std::to_chars(text.data(), text.data() + text.size(), caller.peer->process.uid).ptr};
}

std::pair<char, std::string_view> scope_value(Scope scope, const LimitedCall& call) {
    switch (scope) {
        case Scope::grant: return {'g', call.caller.grant};
        case Scope::user: return {'u', user_of(call.caller)};
        case Scope::session: return {'s', call.caller.session};
        case Scope::tool: return {'t', call.entry};
        case Scope::server:
        case Scope::host: return {'*', {}};
    }
    return {'*', {}};
}

// What stands before the scope: on the host's counters, no server.
std::string_view owner(const Limit& limit, const LimitedCall& call) {
    return limit.scope == Scope::host ? std::string_view() : call.caller.server;
}

size_t key_length(const Limit& limit, const LimitedCall& call) {
    return owner(limit, call).size() + scope_value(limit.scope, call).second.size() + limit.key_suffix.size() + 3;
}

// What is left of a long key, and a hash of all of it: 128 bits, so that no other key can be made to be the same.
void shorten(std::string& keys, size_t start) {
    std::array<unsigned char, 16> hash;
    const auto* bytes = reinterpret_cast<const unsigned char*>(keys.data() + start);
    crypto_generichash(hash.data(), hash.size(), bytes, keys.size() - start, nullptr, 0);
    std::array<char, 2 * hash.size() + 1> hex;
    sodium_bin2hex(hex.data(), hex.size(), hash.data(), hash.size());
    keys.resize(start + kCounterKeyBytesMax - 2 * hash.size() - 1);
    keys += '#';
    keys.append(hex.data(), 2 * hash.size());
}

// keys must have room: the demands hold views into it.
std::string_view make_key(const Limit& limit, const LimitedCall& call) {
    std::string& keys = scratch.keys;
    const size_t start = keys.size();
    const auto [letter, value] = scope_value(limit.scope, call);
    keys += owner(limit, call);
    keys += kKeySeparator;
    keys += letter;
    keys += ':';
    keys += value;
    keys += limit.key_suffix;
    if (keys.size() - start > kCounterKeyBytesMax) shorten(keys, start);
    return std::string_view(keys).substr(start);
}

// False where the call's amount cannot be summed; `verdict` says why.
bool add_demand(const Limit& limit, const LimitedCall& call, Verdict& verdict) {
    CounterDemand demand{.key = make_key(limit, call),
                         .counter = limit.counter,
                         .window_s = limit.window_s,
                         .max = limit.max,
                         .amount = limit.increment,
                         .kind = limit.kind,
                         .keeps_failed = limit.count_failed,
                         .returns_unanswered = !limit.count_unanswered,
                         .may_wait = limit.max_delay_ms > 0};
    if (limit.sums()) {
        const Amount amount = read_amount(call.arguments, limit.amount_path);
        if (amount.problem != AmountProblem::none) {
            scratch.reason.assign(limit.amount_reason).append(phrase(amount.problem)).append(".");
            verdict.deny(kCodeDenied, limit.rule, scratch.reason);
            return false;
        }
        demand.amount = amount.millionths;
        demand.max *= kAmountScale;
        demand.scale = kAmountScale;
    }
    scratch.demands.push_back(demand);
    return true;
}

}  // namespace

void judge_limits(const std::vector<Limit>& own, const std::vector<Limit>& all, const LimitedCall& call, int64_t now_ns,
                  CounterTable& counters, Verdict& verdict) {
    size_t length = 0;
    for (const Limit& limit : own) length += key_length(limit, call);
    for (const Limit& limit : all) length += key_length(limit, call);
    scratch.keys.clear();
    scratch.keys.reserve(length);
    scratch.demands.clear();
    for (const std::vector<Limit>* limits : {&own, &all}) {
        for (const Limit& limit : *limits) {
            if (!add_demand(limit, call, verdict)) return;
        }
    }

    const Reservation reservation = counters.reserve(scratch.demands, now_ns, verdict.charged, call.caller.turn);
    if (reservation.granted) return;
    if (reservation.table_full) {
        verdict.deny(kCodeOverLimit, kRuleTableFull, "The agent counts too many callers at once to admit another.");
        verdict.retry_after_ms = reservation.retry_after_ms;
        return;
    }
    const size_t i = reservation.exceeded;
    const Limit& limit = i < own.size() ? own[i] : all[i - own.size()];
    verdict.deny(kCodeOverLimit, limit.rule, limit.reason);
    if (reservation.never_fits) return;
    if (reservation.retry_after_ms > 0) verdict.retry_after_ms = reservation.retry_after_ms;
    verdict.max_delay_ms = limit.max_delay_ms;
    verdict.delay_key = scratch.demands[i].key;
}

}  // namespace callgate
