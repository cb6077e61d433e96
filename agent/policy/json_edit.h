// Making values of a tree that another dialect's loader reads: each has the place in the text that it comes
// from.
#pragma once
#include <string>
#include <string_view>
#include <utility>

#include "policy/json_document.h"

namespace callgate {

// An empty value of that kind, where `place` is.
inline JsonValue made_at(const JsonValue& place, JsonValue::Kind kind) {
    JsonValue value;
    value.kind = kind;
    value.offset = place.offset;
    value.end = place.end;
    return value;
}
inline JsonValue made_text(const JsonValue& place, std::string_view text) {
    JsonValue value = made_at(place, JsonValue::Kind::string);
    value.string = text;
    return value;
}
inline JsonValue made_integer(const JsonValue& place, int64_t number) {
    JsonValue value = made_at(place, JsonValue::Kind::integer);
    value.integer = number;
    value.string = std::to_string(number);
    return value;
}
inline void put(JsonValue& object, std::string_view key, JsonValue value) {
    object.keys.push_back({std::string(key), value.offset});
    object.items.push_back(std::move(value));
}

}  // namespace callgate
