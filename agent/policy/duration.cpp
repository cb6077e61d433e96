#include "policy/duration.h"

#include <array>
#include <utility>

namespace callgate {

std::optional<int64_t> parse_duration_s(std::string_view text) {
    constexpr std::array<std::pair<char, int64_t>, 4> kUnits = {{{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}}};
    // A number of seconds has no more digits in a lifetime.
    constexpr size_t kDigitsMax = 9;
    if (text.empty()) return std::nullopt;
    int64_t total = 0;
    size_t next_unit = 0;
    while (!text.empty()) {
        const size_t digits = text.find_first_not_of("0123456789");
        if (digits == 0 || digits == text.npos || digits > kDigitsMax) return std::nullopt;
        int64_t number = 0;
        for (char c : text.substr(0, digits)) number = number * 10 + (c - '0');
        while (next_unit < kUnits.size() && kUnits[next_unit].first != text[digits]) ++next_unit;
        if (next_unit == kUnits.size()) return std::nullopt;
        total += number * kUnits[next_unit++].second;
        text.remove_prefix(digits + 1);
    }
    return total;
}

}  // namespace callgate
