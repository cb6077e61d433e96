// NamePattern: a name as a file writes it: exactly, or with "glob:" in front a pattern.
//
//   NamePattern::of("glob:ci@*.service").matches("ci@3.service")  ->  true
#pragma once
#include <string>
#include <string_view>

namespace callgate {

struct NamePattern {
    std::string text;  // without the prefix; empty: not given
    bool is_pattern = false;

    static NamePattern of(std::string_view written);
    bool given() const { return !text.empty(); }
    // What is not known (empty) matches nothing, not even "glob:*".
    bool matches(std::string_view name) const;
    // What is wrong with it: a bad pattern, or one without the prefix, which surely was meant to be one. Empty: nothing.
    std::string problem() const;
    bool operator==(const NamePattern&) const = default;
};

}  // namespace callgate
