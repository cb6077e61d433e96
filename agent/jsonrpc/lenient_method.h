// What some reader may take for the method of a request, in a text that MessageParser refused.
//
// Readers differ in the numbers, quotes and escapes that they accept, in the case of letters, in which of two equal keys
// counts, in what they skip before a `{`, and in where a line ends. None of them is imitated: found is the key itself,
// wherever it stands.
//
//   {"method":"a","m\u0065thod" : "b","x":1e999}   ->  "a", "b"
//   {method: a}                                    ->  "a"
//   "method"                                       ->  nothing: what follows stands on the next line
//   {"text":"\"method\":\"a\""}                    ->  none, it is inside a text
#pragma once
#include <functional>
#include <optional>
#include <string_view>

namespace callgate {

// True where `is_meant` says so of one of them. It is asked with nothing where a name cannot be told; a name is valid until it
// returns.
bool any_lenient_method(std::string_view text, const std::function<bool(std::optional<std::string_view>)>& is_meant);

// The same of every text between quotes, decoded: a name in a list that only some readers can read.
bool any_lenient_text(std::string_view text, const std::function<bool(std::string_view)>& is_meant);

}  // namespace callgate
