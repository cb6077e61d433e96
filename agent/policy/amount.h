// Amount: a number of a call's arguments that a limit sums, exactly: in millionths, never through a float.
//
//   read_amount({"amount":12.5,"to":"x"}, {"amount"})   ->  12'500'000
//   {"amount":"12.5"} {"amount":-1} {"amount":1e-7} {}  ->  not_a_number, negative, too_precise, missing
//   {"amount":1,"Amount":9}                             ->  unclear: some servers read the one, some the other
//
// An amount that is not known exactly is denied: a caller that could choose how it is read would have no limit.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/problem_list.h"

namespace callgate {

// Digits after the decimal point that are kept: currencies have at most four.
inline constexpr int64_t kAmountScale = 1'000'000;
// Largest amount and largest sum, in whole units: their millionths fit into 64 bits.
inline constexpr int64_t kAmountMax = 9'000'000'000'000;

enum class AmountProblem : uint8_t { none, missing, unclear, not_a_number, negative, too_precise, too_large };
// Ends a sentence that begins with the argument's path: "is missing".
std::string_view phrase(AmountProblem problem);

struct Amount {
    int64_t millionths = 0;
    AmountProblem problem = AmountProblem::none;
};

// One JSON number (RFC 8259 §6), exponents included.
Amount parse_amount(std::string_view number);
// The number at `path` of the raw JSON of a call's arguments; a segment is a key, or the index of an array. Allocates
// nothing unless a key is written with escapes.
Amount read_amount(std::string_view arguments, const std::vector<std::string>& path);

// Millionths as a decimal number: 12500000 -> "12.5".
std::string decimal_text(int64_t millionths);

// "args.a.b" -> {"a", "b"}; "\." is a dot within a name. Empty where it is no such path, with `problem` saying why.
std::vector<std::string> parse_amount_path(std::string_view text, std::string& problem);

}  // namespace callgate
