// Condition: one comparison of one value with what the policy says. Immutable once loaded.
//
//   {"path":"args.amount","op":"gt","value":10000}   holds for {"amount":10000.5}, not for {"amount":"20000"} or {}
//
// Values are strict: nothing is converted, numbers compare exactly, and a value that is not there fulfils no operator
// but `exists` with false.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jsonrpc/walk.h"
#include "policy/condition_path.h"

namespace re2 {
class RE2;
}

namespace callgate {

enum class Operator : uint8_t { eq, neq, in, not_in, lt, lte, gt, gte, regex, contains, exists };
inline constexpr std::array<std::pair<std::string_view, Operator>, 11> kOperators = {{{"eq", Operator::eq},
                                                                                      {"neq", Operator::neq},
                                                                                      {"in", Operator::in},
                                                                                      {"not_in", Operator::not_in},
                                                                                      {"lt", Operator::lt},
                                                                                      {"lte", Operator::lte},
                                                                                      {"gt", Operator::gt},
                                                                                      {"gte", Operator::gte},
                                                                                      {"regex", Operator::regex},
                                                                                      {"contains", Operator::contains},
                                                                                      {"exists", Operator::exists}}};

std::string_view name(Operator op);  // as in a policy file

// What a policy compares with: a string, number, boolean or null.
struct Constant {
    ValueKind kind = ValueKind::null;
    std::string text;                // of a string; of a number its token; "true", "false" or "null"
    std::optional<int64_t> integer;  // of a number that is one of at most 18 digits, however written
    double rounded = 0;              // of a number
};
Constant string_constant(std::string text);
Constant number_constant(std::string token);

// A value that was found. A view.
struct SeenValue {
    ValueKind kind = ValueKind::absent;
    std::string_view text;                         // of a string decoded; else the token; nothing of an object or array
    std::optional<double> rounded = std::nullopt;  // of a number with a fraction or an exponent
};

struct Condition {
    Operator op = Operator::exists;
    bool expected = true;          // of exists
    std::vector<Constant> values;  // one; of in and not_in any number; of regex and exists none
    std::unique_ptr<const re2::RE2> pattern;
    std::string path;  // as the policy writes it
    std::string rule;  // "/tools/x/require/args.amount-gt": names a denial that this condition decides

    Condition();
    ~Condition();
    Condition(Condition&&) noexcept;
    Condition& operator=(Condition&&) noexcept;

    // Of a value that is there. `exists`: always.
    bool is_met_by(const SeenValue& value) const;
    // `contains`, of an array's element.
    bool is_met_by_element(const SeenValue& value) const;
    // False of a number that the server's reader, who has no more than a double for it, would find otherwise: of
    // 1.00000000000000001, where it is compared with 1. Integers are as long as they are written.
    bool is_clear(const SeenValue& value) const;
    // Whether it holds when that was so for some value at its path, or for none.
    bool holds(bool met) const { return op == Operator::exists ? met == expected : met; }
};

}  // namespace callgate
