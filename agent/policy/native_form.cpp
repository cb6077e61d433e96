#include "policy/native_form.h"

#include <algorithm>
#include <array>
#include <span>

#include "policy/json_edit.h"
#include "policy/known_keys.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;
using Word = std::string_view;

// What is not named here comes after it, in the order of the file.
constexpr std::array<Word, 17> kPolicyOrder = {
    "$schema",          "version",   "description", kCommentKey, "server",  "mode",      "on_blind", "fail",   "deny_as",
    "approval_timeout", "approvals", "default",     "hide",      "aliases", "all_tools", "tools",    "methods"};
constexpr std::array<Word, 5> kEntryOrder = {kCommentKey, "deny_if", "require", "require_approval", "limits"};
constexpr std::array<Word, 3> kRuleOrder = {kCommentKey, "conditions", "on_deny"};
constexpr std::array<Word, 3> kConditionOrder = {"path", "op", "value"};
constexpr std::array<Word, 6> kLimitOrder = {kCommentKey, "counter", "window", "max", "max_in_flight", "scope"};

void order(JsonValue& object, std::span<const Word> words) {
    JsonValue made = made_at(object, object.kind);
    const auto move = [&](size_t i) {
        made.keys.push_back(std::move(object.keys[i]));
        made.items.push_back(std::move(object.items[i]));
    };
    std::vector<size_t> others;
    std::vector<size_t> named(words.size(), object.keys.size());
    for (size_t i = 0; i < object.keys.size(); ++i) {
        const auto found = std::find(words.begin(), words.end(), object.keys[i].name);
        if (found == words.end()) {
            others.push_back(i);
        } else {
            named[static_cast<size_t>(found - words.begin())] = i;
        }
    }
    for (size_t i : named) {
        if (i < object.keys.size()) move(i);
    }
    for (size_t i : others) move(i);
    object = std::move(made);
}

JsonValue* find(JsonValue& object, Word key) { return const_cast<JsonValue*>(std::as_const(object).find(key)); }

std::optional<JsonValue> take(JsonValue& object, Word key) {
    for (size_t i = 0; i < object.keys.size(); ++i) {
        if (object.keys[i].name != key) continue;
        JsonValue value = std::move(object.items[i]);
        object.keys.erase(object.keys.begin() + static_cast<std::ptrdiff_t>(i));
        object.items.erase(object.items.begin() + static_cast<std::ptrdiff_t>(i));
        return value;
    }
    return std::nullopt;
}

void append(JsonValue& object, Word key, JsonValue value) {
    if (!find(object, key)) put(object, key, made_at(value, Kind::array));
    find(object, key)->items.push_back(std::move(value));
}

// "action" and "reason" as a rule without conditions. A reason that nobody is told is a remark.
void replace_action(JsonValue& entry) {
    const std::optional<JsonValue> action = take(entry, "action");
    std::optional<JsonValue> reason = take(entry, "reason");
    if (action && action->string != "allow") {
        JsonValue rule = made_at(*action, Kind::object);
        put(rule, "conditions", made_at(*action, Kind::array));
        if (reason) put(rule, "on_deny", std::move(*reason));
        append(entry, action->string == "deny" ? "deny_if" : "require_approval", std::move(rule));
    } else if (reason && !find(entry, kCommentKey)) {
        put(entry, kCommentKey, std::move(*reason));
    } else if (reason) {
        find(entry, kCommentKey)->string += " " + reason->string;
    }
}

void replace_rate_limit(JsonValue& entry) {
    std::optional<JsonValue> rate = take(entry, "rate_limit");
    if (!rate) return;
    JsonValue limit = made_at(*rate, Kind::object);
    put(limit, "counter", made_text(*rate, "rate_limit"));
    for (Word key : {"window", "max"}) put(limit, key, *take(*rate, key));
    put(limit, "scope", made_text(*rate, "session"));
    append(entry, "limits", std::move(limit));
}

void normalize_entry(JsonValue& entry) {
    if (entry.kind != Kind::object) return;  // a remark among the entries
    replace_action(entry);
    replace_rate_limit(entry);
    for (Word key : {"deny_if", "require", "require_approval"}) {
        JsonValue* rules = find(entry, key);
        for (size_t i = 0; rules && i < rules->items.size(); ++i) {
            for (JsonValue& condition : find(rules->items[i], "conditions")->items) order(condition, kConditionOrder);
            order(rules->items[i], kRuleOrder);
        }
    }
    if (JsonValue* limits = find(entry, "limits")) {
        for (JsonValue& limit : limits->items) order(limit, kLimitOrder);
    }
    order(entry, kEntryOrder);
}

void normalize_entries(JsonValue* entries) {
    if (!entries) return;
    for (JsonValue& entry : entries->items) normalize_entry(entry);
}

}  // namespace

void to_native_form(JsonValue& policy) {
    if (JsonValue* all = find(policy, "all_tools")) normalize_entry(*all);
    normalize_entries(find(policy, "tools"));
    JsonValue* methods = find(policy, "methods");
    normalize_entries(methods);
    if (methods) {
        for (JsonValue& method : methods->items) normalize_entries(find(method, "names"));
    }
    order(policy, kPolicyOrder);
}

}  // namespace callgate
