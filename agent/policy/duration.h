// A span of time as a policy writes it: numbers with units, the longest first.
//
//   "30m" -> 1800    "1h30m" -> 5400    "45s" -> 45    "2d" -> 172800    "30", "m", "5m1h", "-1s", "1.5h" ->
//   nothing
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace callgate {

std::optional<int64_t> parse_duration_s(std::string_view text);

}  // namespace callgate
