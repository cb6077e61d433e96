// The counters of one tool of the YAML dialect as native limits: each "state" is one, and the conditions on
// its counter say how much it admits; each "rate_limit" is one too.
//
//   state: {counter: daily, window: day}, conditions: [{path: state.pay.daily, op: lte, value: 9}]
//   ->  {"counter": "daily", "window": "day", "max": 9, "scope": "server"}
//
// There is one count for all callers of the server, as there is no word for another in the dialect. Whatever
// else could be asked of a counter has no native form and is a problem.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "policy/intercept_tool.h"
#include "policy/json_document.h"

namespace callgate {

struct InterceptRule {
    std::string path, name;
    const JsonValue* value;
    const JsonValue* on_deny;  // null where absent
};

class InterceptCounters {
  public:
    InterceptCounters(const InterceptPlace& place, ProblemList& problems) : place_(place), problems_(problems) {}

    static bool is_about_counter(const JsonValue& condition);
    void state(const InterceptRule& rule, const JsonValue& state);
    void rate_limit(const InterceptRule& rule, const JsonValue& value);
    void condition(const InterceptRule& rule, const JsonValue& condition, const std::string& path);
    // After all rules of the tool.
    JsonValue limits(const JsonValue& tool);

  private:
    struct Maximum {
        std::string counter;
        const JsonValue* place;  // of the condition
        std::string path;
        std::optional<int64_t> value;  // none where it is mistaken
        const JsonValue* value_place;
        const JsonValue* on_deny;
    };
    struct Counter {
        InterceptRule rule;
        std::string path;        // of "state" or "rate_limit"
        const JsonValue* place;  // of the same
        JsonValue name, window;
        const JsonValue* state = nullptr;  // null of a rate limit
        std::optional<int64_t> rate_max;
    };
    Counter* find(const std::string& name);
    void add(Counter counter, const std::string& name_path);
    void check_maxima();
    const Maximum* smallest_of(const Counter& counter) const;
    void add_limit(const Counter& counter, JsonValue& limits);

    const InterceptPlace& place_;
    ProblemList& problems_;
    std::vector<Counter> counters_;
    std::vector<Maximum> maxima_;
};

}  // namespace callgate
