// What readers take for the same that ignore the case of letters.
//
// Go compares by simple case folding, C# by capitals, others by the one or the other with more letters. Here it is the full case
// folding of Unicode, which finds whatever one of them does: what is only nearly the same is refused, so too much costs little.
//
//   folded_prefix("Gr\u00f6\u00dfe\0x", "GR\u00d6SSE")  ->  7, the bytes of it that are the same
//   folded_prefix("\u017f\u212a", "SK")                   ->  5
#pragma once
#include <cstddef>
#include <optional>
#include <string_view>

namespace callgate {

// How many bytes of `text` say the same as `prefix`; nothing where it does not begin so. UTF-8; a byte that is ill-formed is only
// the same as itself.
std::optional<size_t> folded_prefix(std::string_view text, std::string_view prefix);

inline bool equal_folded(std::string_view a, std::string_view b) { return folded_prefix(a, b) == a.size(); }

}  // namespace callgate
