// Decimal: a JSON number compared exactly, however it is written and however long it is. No float is made of it.
//
//   compare(Decimal::read("1.0"), Decimal::read("1e0"))                                ->  0
//   compare(Decimal::read("9007199254740993"), Decimal::read("9007199254740992.9"))    ->  1
//
// Costs the length of the digits: an exponent makes no digits. Exponents beyond ±kDecimalExponentMax count as that.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace callgate {

// The value is ±0.d1d2d3… × 10^magnitude with d1 not zero, or zero. A view: valid as long as the token.
struct Decimal {
    bool negative = false;
    bool zero = true;
    int64_t magnitude = 0;
    std::string_view digits;  // from d1 on; may hold the point, and zeros at its end

    // `token`: a number by the grammar of RFC 8259.
    static Decimal read(std::string_view token);
};

// Negative, 0 or positive, as a is less than, equal to or greater than b.
int compare(const Decimal& a, const Decimal& b);

// What a reader makes of the token that keeps numbers in double precision, as most do.
double nearest_double(std::string_view token);

// The value of a token of at most 18 digits without point and exponent: what most numbers are.
std::optional<int64_t> plain_integer(std::string_view token);

}  // namespace callgate
