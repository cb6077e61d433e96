#include "policy/intercept_counters.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "policy/json_edit.h"
#include "policy/nearest_key.h"
#include "policy/object_reader.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;
using Word = std::string_view;

constexpr Word kStateRoot = "state.";
constexpr std::array<Word, 4> kStateKeys = {"counter", "window", "increment", "increment_from"};
const KnownKeys kState{"state", kStateKeys, {}};
constexpr std::array<Word, 4> kRateWindows = {"second", "minute", "hour", "day"};

std::string text_of(const JsonValue& object, Word key) {
    const JsonValue* value = object.find(key);
    return value && value->kind == Kind::string ? value->string : std::string();
}

}  // namespace

bool InterceptCounters::is_about_counter(const JsonValue& condition) {
    return text_of(condition, "path").starts_with(kStateRoot);
}

InterceptCounters::Counter* InterceptCounters::find(const std::string& name) {
    const auto found =
        std::find_if(counters_.begin(), counters_.end(), [&](const Counter& counter) { return counter.name.string == name; });
    return found == counters_.end() ? nullptr : &*found;
}

void InterceptCounters::add(Counter counter, const std::string& name_path) {
    if (const Counter* other = find(counter.name.string)) {
        return problems_.add(
            counter.name.offset, name_path,
            "counts in " + in_quotes(counter.name.string) + " as " + other->path + " does; a tool has a counter once, so " +
                (counter.state ? "give this one another name" : "choose another window or leave one of the two out"));
    }
    counters_.push_back(std::move(counter));
}

void InterceptCounters::state(const InterceptRule& rule, const JsonValue& state) {
    const std::string path = join_pointer(rule.path, "state");
    const ObjectReader reader(state, path, kState, problems_);
    const JsonValue* name = reader.require("counter") ? reader.member("counter", Kind::string) : nullptr;
    if (!name) return;
    Counter counter{rule, path, &state, *name, {}, &state, std::nullopt};
    if (const JsonValue* window = state.find("window")) counter.window = *window;
    add(std::move(counter), reader.path_of("counter"));
}

void InterceptCounters::rate_limit(const InterceptRule& rule, const JsonValue& value) {
    const std::string path = join_pointer(rule.path, "rate_limit");
    const std::string& text = value.string;
    const size_t slash = value.kind == Kind::string ? text.find('/') : text.npos;
    int64_t count = 0;
    const char* const end = text.data() + std::min(slash, text.size());
    const auto [stopped, error] = std::from_chars(text.data(), end, count);
    if (slash == text.npos || error != std::errc() || stopped != end || count <= 0) {
        return problems_.add(value.offset, path, "expected a number of calls and a window, such as 5/hour");
    }
    const std::string window = text.substr(slash + 1);
    if (std::find(kRateWindows.begin(), kRateWindows.end(), window) == kRateWindows.end()) {
        const Word near = nearest(window, kRateWindows);
        return problems_.add(value.offset, path,
                             "expected " + one_of(kRateWindows) + " after the \"/\", found " + in_quotes(window) +
                                 (near.empty() ? "" : "; did you mean " + in_quotes(near) + "?"));
    }
    add({rule, path, &value, made_text(value, "_rate_" + window), made_text(value, window), nullptr, count}, path);
}

void InterceptCounters::condition(const InterceptRule& rule, const JsonValue& condition, const std::string& path) {
    static constexpr std::array<Word, 3> kKeys = {"path", "op", "value"};
    static const KnownKeys kCondition{"condition", kKeys, {}};
    const ObjectReader reader(condition, path, kCondition, problems_);
    const std::string written = text_of(condition, "path");
    const std::string own = std::string(kStateRoot) + place_.scope + '.';
    if (!written.starts_with(own)) {
        return reader.problem("path", "is no counter of this tool, which are called " + own +
                                          "NAME; a limit is on what it counts itself, so nothing else can be compared here");
    }
    Maximum maximum{written.substr(own.size()), &condition, path, std::nullopt, condition.find("value"), rule.on_deny};
    const std::string op = text_of(condition, "op");
    if (!reader.require("op") || !reader.require("value")) {
    } else if (op != "lte" && op != "lt") {
        reader.problem("op", "a counter can only have a maximum: lte, or lt");
    } else if (const std::optional<int64_t> value = reader.integer("value", op == "lt" ? 1 : 0, INT64_MAX)) {
        maximum.value = op == "lt" ? *value - 1 : *value;
    }
    maxima_.push_back(std::move(maximum));
}

// Conditions on counters that nothing counts.
void InterceptCounters::check_maxima() {
    for (const Maximum& maximum : maxima_) {
        if (find(maximum.counter)) continue;
        std::vector<Word> names;
        for (const Counter& counter : counters_) names.push_back(counter.name.string);
        const Word near = nearest(maximum.counter, names);
        problems_.add(maximum.place->find("path")->offset, maximum.path + "/path",
                      "no rule of this tool counts " + in_quotes(maximum.counter) +
                          (near.empty() ? "; add state: {counter: " + printable(maximum.counter) + ", window: day} to one of them"
                                        : "; did you mean " + in_quotes(near) + "?"));
    }
}

const InterceptCounters::Maximum* InterceptCounters::smallest_of(const Counter& counter) const {
    const Maximum* smallest = nullptr;
    for (const Maximum& maximum : maxima_) {
        if (maximum.counter != counter.name.string) continue;
        const bool is_less = smallest && smallest->value && maximum.value && *maximum.value < *smallest->value;
        if (!smallest || is_less) smallest = &maximum;
    }
    return smallest;
}

void InterceptCounters::add_limit(const Counter& counter, JsonValue& limits) {
    const Maximum* maximum = smallest_of(counter);
    if (!maximum && !counter.rate_max) {
        return problems_.add(
            counter.place->offset, counter.path,
            "counts, but nothing says how much it may be; add a condition such as {path: " + std::string(kStateRoot) +
                printable(place_.scope) + "." + printable(counter.name.string) + ", op: lte, value: 100}");
    }
    if (maximum && !maximum->value) return;  // reported
    const std::string native = join_pointer(place_.native + "/limits", limits.items.size());
    problems_.moved(native, counter.path, counter.state ? ProblemList::Inside::kept : ProblemList::Inside::dropped);
    problems_.moved(native + "/on_deny", counter.rule.path + "/on_deny");
    JsonValue limit = made_at(*counter.place, Kind::object);
    put(limit, kCommentKey, made_text(*counter.place, counter.rule.name));
    put(limit, "counter", counter.name);
    if (counter.window.kind != Kind::null) put(limit, "window", counter.window);
    if (maximum) problems_.moved(native + "/max", maximum->path + "/value");
    put(limit, "max",
        made_integer(maximum ? *maximum->value_place : *counter.place, maximum ? *maximum->value : *counter.rate_max));
    const auto of_state = [&](Word key) { return counter.state ? counter.state->find(key) : nullptr; };
    const JsonValue* increment = of_state("increment");
    const JsonValue* from = of_state("increment_from");
    // What the dialect's own examples write beside "increment_from" is what holds where nothing is written.
    const bool is_default = increment && increment->kind == Kind::integer && increment->integer == 1;
    if (increment && !(from && is_default)) put(limit, "increment", *increment);
    if (from) put(limit, "increment_from", *from);
    put(limit, "scope", made_text(*counter.place, "server"));
    const JsonValue* on_deny = maximum && maximum->on_deny ? maximum->on_deny : counter.rule.on_deny;
    if (on_deny) put(limit, "on_deny", *on_deny);
    limits.items.push_back(std::move(limit));
}

JsonValue InterceptCounters::limits(const JsonValue& tool) {
    check_maxima();
    JsonValue made = made_at(tool, Kind::array);
    for (const Counter& counter : counters_) add_limit(counter, made);
    return made;
}

}  // namespace callgate
