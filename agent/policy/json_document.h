// A JSON text as a tree in which every key and value knows its byte offset, so that a mistake can be pointed
// at.
//
// Stricter than nlohmann::json, whose SAX parser does the reading: no byte order mark, no NUL, no duplicate
// key, nesting at most kJsonDepthMax, at most kPolicyValuesMax values. Nothing is thrown.
//
//   {"a":\n [true]}  ->  object, keys[0] = {"a", offset 1}, items[0] = array at 6, items[0].items[0] = true
//   at 7
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/problem_list.h"

namespace callgate {

// A policy of ten thousand tools with ten values each fits five times over; memory stays below 100 MB.
inline constexpr size_t kPolicyValuesMax = 500000;

struct JsonKey {
    std::string name;
    size_t offset = 0;
};

struct JsonValue {
    enum class Kind : uint8_t { null, boolean, integer, number, string, array, object };
    Kind kind = Kind::null;
    bool boolean = false;
    int64_t integer = 0;  // of Kind::integer; a number with a fraction or beyond 64 bits is Kind::number
    size_t offset = 0;
    size_t end = 0;                // behind its last byte
    std::string string;            // the text of a string; of a number as it is written
    std::vector<JsonValue> items;  // of an array, or the values of an object
    std::vector<JsonKey> keys;     // of an object, as many as items

    const JsonValue* find(std::string_view key) const;
};
std::string_view name(JsonValue::Kind kind);  // with its article: "an object"

// Neither byte order mark nor NUL: what a text of any syntax must be. Reported.
bool is_plain_utf8(std::string_view text, ProblemList& problems);

// The root value; nothing where the text is not one JSON value. Duplicate keys are reported, and the tree
// returned.
std::optional<JsonValue> parse_json(std::string_view text, ProblemList& problems);

}  // namespace callgate
