#include "policy/limit_loader.h"

#include <algorithm>
#include <array>

#include "policy/nearest_key.h"

namespace callgate {
namespace {

constexpr size_t kCounterNameBytesMax = 128;
constexpr std::string_view kRateLimitCounter = "rate_limit";

constexpr std::array<std::string_view, 3> kScopesLater = {"tool", "host", "fleet"};

bool has_counter(const std::vector<Limit>& limits, std::string_view counter) {
    return std::any_of(limits.begin(), limits.end(),
                       [&](const Limit& limit) { return limit.counter == counter; });
}

void load_limit(const JsonValue& value, const std::string& path, const std::string& limits_path,
                std::string_view tool, std::vector<Limit>& limits, ProblemList& problems) {
    const ObjectReader reader(value, path, known::kLimit, problems);
    for (std::string_view key : {"counter", "window", "max"}) reader.require(key);
    Limit limit;
    limit.counter = reader.word("counter", kCounterNameBytesMax).value_or("");
    limit.window_s = reader.window_s("window").value_or(1);
    limit.max = reader.integer("max", 0, kLimitCountMax).value_or(0);
    limit.scope = reader.choice("scope", kScopeNames, kScopesLater).value_or(Scope::grant);
    limit.rule = join_pointer(limits_path, limit.counter);
    describe(limit, tool);
    if (!limit.counter.empty() && has_counter(limits, limit.counter)) {
        reader.problem("counter", "counter " + in_quotes(limit.counter) + " is already used in this list");
    }
    limits.push_back(std::move(limit));
}

}  // namespace

void load_limits(const JsonValue& array, const std::string& path, std::string_view tool,
                 std::vector<Limit>& limits, ProblemList& problems) {
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
        tool.problem("rate_limit",
                     "counter \"rate_limit\" is already used by a member of \"limits\"; rename that");
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
