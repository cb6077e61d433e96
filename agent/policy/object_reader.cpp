#include "policy/object_reader.h"

#include <algorithm>

#include "policy/limit.h"
#include "policy/nearest_key.h"

namespace callgate {
namespace {

std::string unknown_key(std::string_view key, const KnownKeys& known) {
    std::string message = "unknown key " + in_quotes(key);
    if (std::string_view near = nearest(key, known.keys); !near.empty()) {
        return message + "; did you mean " + in_quotes(near) + "?";
    }
    return message + "; known here: " + one_of(known.keys);
}

bool contains(std::span<const std::string_view> words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

bool has_control_character(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool expect(JsonValue::Kind kind, const JsonValue& value, std::string_view path, ProblemList& problems) {
    if (value.kind == kind) return true;
    problems.add(value.offset, path, "expected " + std::string(name(kind)) + ", found " + std::string(name(value.kind)));
    return false;
}

ObjectReader::ObjectReader(const JsonValue& object, std::string path, const KnownKeys& keys, ProblemList& problems)
    : object_(object), path_(std::move(path)), problems_(problems) {
    for (const JsonKey& key : object.keys) {
        if (contains(keys.keys, key.name)) continue;
        problems.add(key.offset, path_of(key.name),
                     contains(keys.later, key.name) ? in_quotes(key.name) + " is not supported by this version"
                                                    : unknown_key(key.name, keys));
    }
}

const JsonValue* ObjectReader::member(std::string_view key, JsonValue::Kind kind) const {
    const JsonValue* value = object_.find(key);
    return value && expect(kind, *value, path_of(key), problems_) ? value : nullptr;
}

bool ObjectReader::require(std::string_view key) const {
    if (object_.find(key)) return true;
    problems_.add(object_.offset, path_, "key " + in_quotes(key) + " is missing");
    return false;
}

void ObjectReader::problem(std::string_view key, std::string message) const {
    const JsonValue* value = object_.find(key);
    problems_.add(value ? value->offset : object_.offset, value ? path_of(key) : path_, std::move(message));
}

std::optional<std::string> ObjectReader::text(std::string_view key, size_t bytes_max) const {
    const JsonValue* value = member(key, JsonValue::Kind::string);
    if (!value) return std::nullopt;
    if (value->string.size() <= bytes_max) return value->string;
    problem(key, "longer than " + std::to_string(bytes_max) + " bytes");
    return std::nullopt;
}

std::optional<std::string> ObjectReader::word(std::string_view key, size_t bytes_max) const {
    std::optional<std::string> value = text(key, bytes_max);
    if (!value) return std::nullopt;
    if (value->empty()) {
        problem(key, "is empty");
    } else if (has_control_character(*value)) {
        problem(key, "contains a control character");
    } else {
        return value;
    }
    return std::nullopt;
}

std::optional<int64_t> ObjectReader::integer(std::string_view key, int64_t min, int64_t max) const {
    const JsonValue* value = member(key, JsonValue::Kind::integer);
    if (!value) return std::nullopt;
    if (value->integer >= min && value->integer <= max) return value->integer;
    problem(key, "expected an integer from " + std::to_string(min) + " to " + std::to_string(max) + ", found " +
                     std::to_string(value->integer));
    return std::nullopt;
}

std::optional<size_t> ObjectReader::choose(std::string_view key, std::span<const std::string_view> words,
                                           std::span<const std::string_view> later) const {
    const JsonValue* value = member(key, JsonValue::Kind::string);
    if (!value) return std::nullopt;
    const auto found = std::find(words.begin(), words.end(), value->string);
    if (found != words.end()) return static_cast<size_t>(found - words.begin());
    if (contains(later, value->string)) {
        problem(key, in_quotes(value->string) + " is not supported by this version; expected " + one_of(words));
        return std::nullopt;
    }
    std::string message = "expected " + one_of(words) + ", found " + in_quotes(value->string);
    const std::string_view near = nearest(value->string, words);
    problem(key, near.empty() ? message : message + "; did you mean " + in_quotes(near) + "?");
    return std::nullopt;
}

std::optional<int64_t> ObjectReader::window_s(std::string_view key) const {
    const JsonValue* value = object_.find(key);
    if (!value) return std::nullopt;
    if (value->kind == JsonValue::Kind::integer) return integer(key, 1, kWindowSecondsMax);
    std::array<std::string_view, kWindowNames.size()> words;
    for (size_t i = 0; i < words.size(); ++i) words[i] = kWindowNames[i].first;
    const bool is_text = value->kind == JsonValue::Kind::string;
    const auto found = is_text ? std::find(words.begin(), words.end(), value->string) : words.end();
    if (found != words.end()) return kWindowNames[static_cast<size_t>(found - words.begin())].second;
    const std::string_view near = is_text ? nearest(value->string, words) : std::string_view();
    problem(key, "expected " + one_of(words) + " or a number of seconds, found " +
                     (is_text ? in_quotes(value->string) : std::string(name(value->kind))) +
                     (near.empty() ? std::string() : "; did you mean " + in_quotes(near) + "?"));
    return std::nullopt;
}

}  // namespace callgate
