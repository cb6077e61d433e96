// The known word that a misspelt one was most likely meant to be, and how to print words that a file's author
// chose.
//
//   nearest("limit", {"limits", "deny_if"})  ->  "limits"
//   nearest("colour", {"limits", "deny_if"}) ->  ""
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace callgate {

// Edit distance with neighbour swaps; empty where nothing is close enough to be a misspelling of it.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

// Safe to print: control characters and broken UTF-8 escaped, cut after `bytes_max` with "...".
std::string printable(std::string_view text, size_t bytes_max = 80);
// printable() in double quotes.
std::string in_quotes(std::string_view text, size_t bytes_max = 80);
// `"a", "b" or "c"`.
std::string one_of(std::span<const std::string_view> words);

}  // namespace callgate
