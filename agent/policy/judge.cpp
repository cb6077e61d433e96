// Judging one message: hidden, then denied, then limits (reserved all or nothing), then allowed.
#include <algorithm>
#include <array>

#include "jsonrpc/answer.h"
#include "policy/compiled_policy.h"
#include "policy/policy.h"

namespace callgate {
namespace {

constexpr std::string_view kRuleHidden = "(hidden)";
constexpr std::string_view kRuleDefaultDeny = "(default deny)";
constexpr std::string_view kRuleTableFull = "(counter table full)";

// A name that a caller made up is quoted back only where it is short and plain: a reason is read by a model.
constexpr size_t kQuotedNameBytesMax = 64;

// One per thread: reused by every call, so that judging allocates nothing once it has grown.
struct Scratch {
    std::string keys;  // of all counters of one call, one after the other
    std::vector<CounterDemand> demands;
    std::array<char, 160> reason;
};
thread_local Scratch scratch;

bool is_plain(std::string_view name) {
    return !name.empty() && name.size() <= kQuotedNameBytesMax &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '-' || c == '.' || c == '/';
           });
}

// `Tool "x" is not allowed by the policy.`, in the thread's buffer; `This tool ...` where x is not to be
// quoted.
std::string_view sentence(std::string_view noun, std::string_view name, std::string_view rest) {
    char* out = scratch.reason.data();
    const auto append = [&](std::string_view part) { out = std::copy(part.begin(), part.end(), out); };
    if (is_plain(name)) {
        append(noun);
        append(" \"");
        append(name);
        append("\"");
    } else {
        append("This ");
        *out++ = static_cast<char>(noun[0] | 0x20);
        append(noun.substr(1));
    }
    append(rest);
    return {scratch.reason.data(), out};
}

constexpr std::string_view kNotAllowed = " is not allowed by the policy.";
constexpr std::string_view kNotAvailable = " is not available under the policy.";

void deny(Verdict& verdict, int code, std::string_view rule, std::string_view reason) {
    verdict.action = Action::deny;
    verdict.code = code;
    verdict.rule = rule;
    verdict.reason = reason;
}

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

// Charges every limit of the call, or none and says which one was in the way.
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
        deny(verdict, kCodeOverLimit, kRuleTableFull,
             "The agent counts too many callers at once to admit another.");
        verdict.retry_after_ms = reservation.retry_after_ms;
        return;
    }
    const size_t i = reservation.exceeded;
    const Limit& limit = i < own.size() ? own[i] : all[i - own.size()];
    deny(verdict, kCodeOverLimit, limit.rule, limit.reason);
    if (limit.max > 0) verdict.retry_after_ms = reservation.retry_after_ms;  // with 0, waiting never helps
}

}  // namespace

Verdict Policy::judge_tool(std::string_view tool, const Caller& caller, int64_t now_ns,
                           CounterTable& counters) const {
    Verdict verdict;
    judge_tool(tool, caller, now_ns, counters, verdict);
    return verdict;
}

void Policy::judge_tool(std::string_view tool, const Caller& caller, int64_t now_ns, CounterTable& counters,
                        Verdict& verdict) const {
    verdict.action = Action::allow;
    verdict.code = 0;
    verdict.rule = verdict.reason = {};
    verdict.retry_after_ms.reset();
    verdict.charged.clear();

    const CompiledPolicy& policy = *compiled_;
    if (policy.blanket) return deny(verdict, kCodeDenied, policy.blanket->rule, policy.blanket->reason);
    const ToolEntry* exact = policy.find_exact(tool);
    if (policy.is_hidden(tool, exact)) {
        return deny(verdict, kCodeDenied, kRuleHidden, sentence("Tool", tool, kNotAvailable));
    }
    const ToolEntry* entry = policy.find_governing(tool, exact);
    if (!entry && !policy.default_allow) {
        return deny(verdict, kCodeDenied, kRuleDefaultDeny, sentence("Tool", tool, kNotAllowed));
    }
    if (entry && entry->denial) return deny(verdict, kCodeDenied, entry->denial->rule, entry->denial->reason);
    static const std::vector<Limit> kNone;
    const std::vector<Limit>& own = entry ? entry->limits : kNone;
    if (own.empty() && policy.all_limits.empty()) return;
    judge_limits(own, policy.all_limits, caller, now_ns, counters, verdict);
}

Verdict Policy::judge_method(std::string_view method) const {
    Verdict verdict;
    if (compiled_->blanket) {
        constexpr std::array<std::string_view, 4> kHandshake = {"initialize", "ping", "server/discover",
                                                                "tools/list"};
        const bool harmless = method.starts_with("notifications/") ||
                              std::find(kHandshake.begin(), kHandshake.end(), method) != kHandshake.end();
        if (!harmless) deny(verdict, kCodeDenied, compiled_->blanket->rule, compiled_->blanket->reason);
        return verdict;
    }
    // A method that may carry calls of tools in a form that this version cannot read.
    const bool is_unknown_carrier =
        method.starts_with("tools/") && method != "tools/list" && method != "tools/call";
    if (is_unknown_carrier && !compiled_->default_allow) {
        deny(verdict, kCodeDenied, kRuleDefaultDeny, sentence("Method", method, kNotAllowed));
    }
    return verdict;
}

}  // namespace callgate
