#include "policy/yaml_scalar.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "policy/nearest_key.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;
using Word = std::string_view;

constexpr std::array<Word, 5> kNull = {"", "~", "null", "Null", "NULL"};
constexpr std::array<Word, 3> kTrue = {"true", "True", "TRUE"};
constexpr std::array<Word, 3> kFalse = {"false", "False", "FALSE"};
// Booleans of YAML 1.1, strings of 1.2. No reader takes its "y" and "n" for booleans.
constexpr std::array<Word, 12> kOldBooleans = {"yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF"};

template <size_t N>
bool is_one_of(Word text, const std::array<Word, N>& words) {
    return std::find(words.begin(), words.end(), text) != words.end();
}

const re2::RE2& json_number() {
    static const re2::RE2 pattern(R"(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?)");
    return pattern;
}

// Whatever some version of YAML takes for a number or a time, and JSON does not.
const re2::RE2& other_number() {
    static const re2::RE2 pattern(R"([-+]?[0-9][0-9_]*)"  // 010, +1, 1_000
                                  R"(|[-+]?0[xX][0-9a-fA-F_]+|[-+]?0[bB][01_]+|[-+]?0[oO][0-7_]+)"
                                  R"(|[-+]?([0-9][0-9_]*)?\.[0-9_]*([eE][-+]?[0-9]+)?)"  // .5, 5., 1_0.0
                                  R"(|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+)"                 // 01e3
                                  R"(|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)"     // 1:30, to the base of 60
                                  R"(|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))"
                                  R"(|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?)");  // a day, a moment
    return pattern;
}

}  // namespace

JsonValue plain_yaml_scalar(std::string_view text, std::string& problem) {
    JsonValue value;
    if (is_one_of(text, kNull)) return value;
    if (is_one_of(text, kTrue) || is_one_of(text, kFalse)) {
        value.kind = Kind::boolean;
        value.boolean = is_one_of(text, kTrue);
        return value;
    }
    value.string = text;
    if (re2::RE2::FullMatch(text, json_number())) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value.integer);
        const bool is_integer = error == std::errc() && end == text.data() + text.size();
        value.kind = is_integer ? Kind::integer : Kind::number;
        if (is_integer) return value;
        value.integer = 0;
        // The same bound as in JSON, so that each can be written as the other.
        if (!std::isfinite(std::strtod(value.string.c_str(), nullptr))) problem = in_quotes(text) + " is too large a number";
        return value;
    }
    value.kind = Kind::string;
    if (is_one_of(text, kOldBooleans)) {
        problem = in_quotes(text) + " is a boolean to some readers of YAML; write true or false, or the word in quotes";
    } else if (re2::RE2::FullMatch(text, other_number())) {
        problem = in_quotes(text) + " is not the same to all readers of YAML; write a number as JSON does, or a text in quotes";
    } else if (text == "<<" || text == "=") {
        problem = in_quotes(text) + " has a meaning of its own in some versions of YAML; write it in quotes";
    }
    return value;
}

}  // namespace callgate
