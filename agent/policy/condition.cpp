#include "policy/condition.h"

#include <re2/re2.h>

#include <algorithm>

#include "policy/decimal.h"

namespace callgate {
namespace {

// Both are numbers.
int compare_numbers(const SeenValue& seen, const Constant& constant) {
    if (const std::optional<int64_t> integer = plain_integer(seen.text); integer && constant.integer) {
        return *integer < *constant.integer ? -1 : *integer > *constant.integer ? 1 : 0;
    }
    return compare(Decimal::read(seen.text), Decimal::read(constant.text));
}

// What a comparison says of a value that is less (-1) than, equal (0) to or greater (1) than the constant.
bool is_met_where(Operator op, int order) {
    switch (op) {
        case Operator::lt: return order < 0;
        case Operator::lte: return order <= 0;
        case Operator::gt: return order > 0;
        case Operator::gte: return order >= 0;
        case Operator::neq:
        case Operator::not_in: return order != 0;
        case Operator::eq:
        case Operator::in:
        case Operator::contains:
        case Operator::regex:
        case Operator::exists: break;
    }
    return order == 0;
}

bool equals(const SeenValue& seen, const Constant& constant) {
    if (seen.kind != constant.kind) return false;
    return seen.kind == ValueKind::number ? compare_numbers(seen, constant) == 0 : seen.text == constant.text;
}

bool is_any_of(const SeenValue& seen, const std::vector<Constant>& constants) {
    return std::any_of(constants.begin(), constants.end(), [&](const Constant& constant) { return equals(seen, constant); });
}

// The integer that a number is, where it has few digits: "1.50e1" is 15.
std::optional<int64_t> small_integer(std::string_view token) {
    const Decimal number = Decimal::read(token);
    if (number.zero) return 0;
    if (number.magnitude < 1 || number.magnitude > 18) return std::nullopt;
    std::string digits;
    for (char c : number.digits) {
        if (c != '.') digits += c;
    }
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.size() > static_cast<size_t>(number.magnitude)) return std::nullopt;
    digits.resize(static_cast<size_t>(number.magnitude), '0');
    const std::optional<int64_t> value = plain_integer(digits);
    return value && number.negative ? -*value : value;
}

}  // namespace

std::string_view name(Operator op) { return kOperators[static_cast<size_t>(op)].first; }

Condition::Condition() = default;
Condition::~Condition() = default;
Condition::Condition(Condition&&) noexcept = default;
Condition& Condition::operator=(Condition&&) noexcept = default;

Constant string_constant(std::string text) { return {ValueKind::string, std::move(text), std::nullopt}; }

Constant number_constant(std::string token) {
    const std::optional<int64_t> integer = small_integer(token);
    const double rounded = nearest_double(token);
    return {ValueKind::number, std::move(token), integer, rounded};
}

bool Condition::is_met_by(const SeenValue& value) const {
    const bool is_number = value.kind == ValueKind::number;
    switch (op) {
        case Operator::eq: return equals(value, values[0]);
        case Operator::neq: return !equals(value, values[0]);
        case Operator::in: return is_any_of(value, values);
        case Operator::not_in: return !is_any_of(value, values);
        case Operator::lt:
        case Operator::lte:
        case Operator::gt:
        case Operator::gte: return is_number && is_met_where(op, compare_numbers(value, values[0]));
        case Operator::regex:
            return value.kind == ValueKind::string &&
                   pattern->Match(value.text, 0, value.text.size(), re2::RE2::UNANCHORED, nullptr, 0);
        case Operator::contains:
            return value.kind == ValueKind::string && values[0].kind == ValueKind::string &&
                   value.text.find(values[0].text) != value.text.npos;
        case Operator::exists: return true;
    }
    return false;
}

bool Condition::is_met_by_element(const SeenValue& value) const { return equals(value, values[0]); }

bool Condition::is_clear(const SeenValue& value) const {
    if (!value.rounded) return true;
    return std::all_of(values.begin(), values.end(), [&](const Constant& constant) {
        if (constant.kind != ValueKind::number) return true;
        const int rounded_order = *value.rounded < constant.rounded ? -1 : *value.rounded > constant.rounded ? 1 : 0;
        return is_met_where(op, compare_numbers(value, constant)) == is_met_where(op, rounded_order);
    });
}

}  // namespace callgate
