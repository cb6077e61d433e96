#include "policy/decimal.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/limits.h"

namespace callgate {
namespace {

constexpr size_t kPlainDigitsMax = 18;  // 10^18 is less than 2^63

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int64_t read_exponent(std::string_view text) {
    bool negative = false;
    if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
        negative = text.front() == '-';
        text.remove_prefix(1);
    }
    int64_t value = 0;
    for (char c : text) value = std::min(value * 10 + (c - '0'), kDecimalExponentMax);
    return negative ? -value : value;
}

// The digit at `at`, which it moves on, over the point too; 0 behind the last.
char next_digit(std::string_view digits, size_t& at) {
    if (at < digits.size() && digits[at] == '.') ++at;
    return at < digits.size() ? digits[at++] : '0';
}

int compare_digits(std::string_view a, std::string_view b) {
    for (size_t i = 0, k = 0; i < a.size() || k < b.size();) {
        const char left = next_digit(a, i), right = next_digit(b, k);
        if (left != right) return left < right ? -1 : 1;
    }
    return 0;
}

}  // namespace

Decimal Decimal::read(std::string_view token) {
    Decimal made;
    if (!token.empty() && token.front() == '-') {
        made.negative = true;
        token.remove_prefix(1);
    }
    const size_t e = token.find_first_of("eE");
    const std::string_view mantissa = token.substr(0, e);
    const size_t point = std::min(mantissa.find('.'), mantissa.size());
    const size_t first = mantissa.find_first_not_of("0.");
    if (first == mantissa.npos) return {};
    made.zero = false;
    made.digits = mantissa.substr(first);
    made.magnitude = first < point ? static_cast<int64_t>(point - first) : -static_cast<int64_t>(first - point - 1);
    if (e != token.npos) made.magnitude += read_exponent(token.substr(e + 1));
    return made;
}

int compare(const Decimal& a, const Decimal& b) {
    const int sign_a = a.zero ? 0 : a.negative ? -1 : 1;
    const int sign_b = b.zero ? 0 : b.negative ? -1 : 1;
    if (sign_a != sign_b) return sign_a < sign_b ? -1 : 1;
    if (sign_a == 0) return 0;
    if (a.magnitude != b.magnitude) return (a.magnitude < b.magnitude ? -1 : 1) * sign_a;
    return compare_digits(a.digits, b.digits) * sign_a;
}

double nearest_double(std::string_view token) {
    double value = 0;
    if (std::from_chars(token.data(), token.data() + token.size(), value).ec == std::errc{}) return value;
    const Decimal number = Decimal::read(token);
    if (number.zero || number.magnitude < 0) return 0;
    return number.negative ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
}

std::optional<int64_t> plain_integer(std::string_view token) {
    const bool negative = !token.empty() && token.front() == '-';
    if (negative) token.remove_prefix(1);
    if (token.empty() || token.size() > kPlainDigitsMax) return std::nullopt;
    int64_t value = 0;
    for (char c : token) {
        if (!is_digit(c)) return std::nullopt;
        value = value * 10 + (c - '0');
    }
    return negative ? -value : value;
}

}  // namespace callgate
