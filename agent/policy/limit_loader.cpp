#include "policy/limit_loader.h"

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "policy/amount.h"
#include "policy/nearest_key.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kCounterNameBytesMax = 128;
constexpr std::string_view kRateLimitCounter = "rate_limit";

constexpr size_t kAmountPathBytesMax = 1024;

constexpr std::array<std::string_view, 1> kScopesLater = {"fleet"};
enum class OnExceed : uint8_t { deny, delay };
constexpr std::array<std::pair<std::string_view, OnExceed>, 2> kOnExceed = {
    {{"deny", OnExceed::deny}, {"delay", OnExceed::delay}}};

bool has_counter(const std::vector<Limit>& limits, std::string_view counter) {
    return std::any_of(limits.begin(), limits.end(), [&](const Limit& limit) { return limit.counter == counter; });
}

bool boolean(const ObjectReader& reader, std::string_view key, bool where_absent = false) {
    const JsonValue* value = reader.member(key, Kind::boolean);
    return value ? value->boolean : where_absent;
}

// What one call counts: 1, a fixed number or an argument.
void load_increment(const ObjectReader& reader, Limit& limit) {
    limit.increment = reader.integer("increment", 1, kLimitCountMax).value_or(1);
    limit.increment_from = reader.word("increment_from", kAmountPathBytesMax).value_or("");
    if (limit.increment_from.empty()) return;
    if (reader.has("increment")) reader.problem("increment", "not together with \"increment_from\"; leave one of them out");
    std::string problem;
    limit.amount_path = parse_amount_path(limit.increment_from, problem);
    if (!problem.empty()) reader.problem("increment_from", std::move(problem));
}

// At most so many calls in a window, or so large a sum.
void load_window(const ObjectReader& reader, Limit& limit) {
    for (std::string_view key : {"window", "max"}) reader.require(key);
    load_increment(reader, limit);
    limit.window_s = reader.window_s("window").value_or(1);
    limit.max = reader.integer("max", 0, limit.sums() ? kAmountMax : kLimitCountMax).value_or(0);
    if (boolean(reader, "sliding")) limit.kind = CounterKind::sliding;
    limit.count_failed = boolean(reader, "count_failed");
    limit.count_unanswered = boolean(reader, "count_unanswered", true);
}

// At most so many calls at a time.
void load_in_flight(const ObjectReader& reader, Limit& limit) {
    limit.kind = CounterKind::in_flight;
    limit.max = reader.integer("max_in_flight", 0, static_cast<int64_t>(kPendingMax)).value_or(0);
    for (std::string_view key : {"window", "max", "sliding", "increment", "increment_from", "count_failed", "count_unanswered"}) {
        if (reader.has(key)) {
            reader.problem(
                key, "not together with \"max_in_flight\", which counts the calls of this moment; make it a limit of its own");
        }
    }
}

void load_on_exceed(const ObjectReader& reader, Limit& limit) {
    const OnExceed on_exceed = reader.choice("on_exceed", kOnExceed).value_or(OnExceed::deny);
    const int64_t delay_ms = reader.integer("max_delay_ms", 1, kDelayMillisecondsMax).value_or(0);
    if (on_exceed == OnExceed::delay) {
        reader.require("max_delay_ms");
        limit.max_delay_ms = delay_ms;
    } else if (reader.has("max_delay_ms")) {
        reader.problem("max_delay_ms", "means something only with \"on_exceed\": \"delay\"");
    }
}

void load_limit(const JsonValue& value, const std::string& path, const std::string& limits_path, std::string_view tool,
                std::vector<Limit>& limits, ProblemList& problems) {
    const ObjectReader reader(value, path, known::kLimit, problems);
    reader.require("counter");
    Limit limit;
    limit.counter = reader.word("counter", kCounterNameBytesMax).value_or("");
    reader.has("max_in_flight") ? load_in_flight(reader, limit) : load_window(reader, limit);
    load_on_exceed(reader, limit);
    limit.scope = reader.choice("scope", kScopeNames, kScopesLater).value_or(Scope::grant);
    limit.rule = join_pointer(limits_path, limit.counter);
    describe(limit, tool);
    reader.member(kCommentKey, Kind::string);
    if (std::string said = reader.text("on_deny").value_or(""); !said.empty()) limit.reason = std::move(said);
    if (!limit.counter.empty() && has_counter(limits, limit.counter)) {
        reader.problem("counter", "counter " + in_quotes(limit.counter) + " is already used in this list");
    }
    limits.push_back(std::move(limit));
}

}  // namespace

void load_limits(const JsonValue& array, const std::string& path, std::string_view tool, std::vector<Limit>& limits,
                 ProblemList& problems) {
    each_object(array, path, problems, [&](const JsonValue& item, const std::string& item_path) {
        load_limit(item, item_path, path, tool, limits, problems);
    });
}

void load_rate_limit(const ObjectReader& tool, std::string_view name, std::vector<Limit>& limits) {
    const JsonValue* value = tool.member("rate_limit", JsonValue::Kind::object);
    if (!value) return;
    const ObjectReader reader(*value, tool.path_of("rate_limit"), known::kRateLimit, tool.problems());
    reader.require("max");
    reader.require("window");
    if (has_counter(limits, kRateLimitCounter)) {
        tool.problem("rate_limit", "counter \"rate_limit\" is already used by a member of \"limits\"; rename that");
    }
    Limit limit;
    limit.counter = kRateLimitCounter;
    limit.max = reader.integer("max", 0, kLimitCountMax).value_or(0);
    limit.window_s = reader.window_s("window").value_or(1);
    limit.scope = Scope::session;
    limit.rule = reader.path();
    describe(limit, name);
    limits.push_back(std::move(limit));
}

}  // namespace callgate
