#include "policy/glob.h"

#include <cstdint>

namespace callgate {
namespace {

// Takes one character from the front: a UTF-8 sequence, or one byte where there is none.
uint32_t take_character(std::string_view& text) {
    const auto lead = static_cast<unsigned char>(text[0]);
    const size_t length = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1;
    uint32_t value = length == 1 ? lead : lead & (0x7fU >> length);
    for (size_t i = 1; i < length; ++i) {
        if (i >= text.size() || (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) {
            text.remove_prefix(1);
            return 0x110000U + lead;  // equal to no real character
        }
        value = value << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
    }
    text.remove_prefix(length);
    return length == 1 && lead >= 0x80 ? 0x110000U + lead : value;
}

// Bytes of the bracket expression that `pattern` begins with, brackets included; 0 where it is not closed.
size_t bracket_length(std::string_view pattern) {
    size_t i = 1;
    if (i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^')) ++i;
    if (i < pattern.size() && pattern[i] == ']') ++i;
    for (; i < pattern.size(); ++i) {
        if (pattern[i] == ']') return i + 1;
        if (pattern[i] == '\\') ++i;
    }
    return 0;
}

uint32_t take_set_character(std::string_view& set) {
    if (set[0] == '\\' && set.size() > 1) set.remove_prefix(1);
    return take_character(set);
}

// `set`: what stands between the brackets.
bool set_contains(std::string_view set, uint32_t character) {
    const bool negated = set[0] == '!' || set[0] == '^';
    if (negated) set.remove_prefix(1);
    bool found = false;
    while (!set.empty()) {
        const uint32_t first = take_set_character(set);
        uint32_t last = first;
        if (set.size() > 1 && set[0] == '-') {
            set.remove_prefix(1);
            last = take_set_character(set);
        }
        found = found || (first <= character && character <= last);
    }
    return found != negated;
}

// Matches one pattern element other than '*' against the front of `text`, and takes both.
bool take_element(std::string_view& pattern, std::string_view& text) {
    const uint32_t character = take_character(text);
    if (pattern[0] == '?') {
        pattern.remove_prefix(1);
        return true;
    }
    if (pattern[0] == '[') {
        if (const size_t length = bracket_length(pattern); length > 0) {
            const std::string_view set = pattern.substr(1, length - 2);
            pattern.remove_prefix(length);
            return set_contains(set, character);
        }
    } else if (pattern[0] == '\\' && pattern.size() > 1) {
        pattern.remove_prefix(1);
    }
    return take_character(pattern) == character;
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) {
    // Where the last '*' was: on a mismatch it takes one character more. Earlier stars never need to.
    std::string_view star_pattern, star_text;
    bool has_star = false;
    while (!text.empty() || !pattern.empty()) {
        if (!pattern.empty() && pattern[0] == '*') {
            pattern.remove_prefix(1);
            star_pattern = pattern;
            star_text = text;
            has_star = true;
            continue;
        }
        if (!pattern.empty() && !text.empty() && take_element(pattern, text)) continue;
        if (!has_star || star_text.empty()) return false;
        take_character(star_text);
        pattern = star_pattern;
        text = star_text;
    }
    return true;
}

std::string glob_problem(std::string_view pattern) {
    if (pattern.empty()) return "an empty pattern matches nothing";
    while (!pattern.empty()) {
        if (pattern[0] == '\\') {
            if (pattern.size() == 1) return "the pattern ends in a backslash; write \\\\ for the character itself";
            pattern.remove_prefix(2);
        } else if (pattern[0] == '[') {
            const size_t length = bracket_length(pattern);
            if (length == 0) return "the pattern has an open bracket; write \\[ for the character itself";
            const std::string_view set = pattern.substr(1, length - 2);
            for (std::string_view special : {"[:", "[=", "[."}) {
                if (set.find(special) != set.npos) {
                    return "character classes are not supported in patterns; write the range, such as [0-9]";
                }
            }
            pattern.remove_prefix(length);
        } else {
            pattern.remove_prefix(1);
        }
    }
    return {};
}

GlobRank glob_rank(std::string_view pattern) {
    GlobRank rank;
    while (!pattern.empty()) {
        if (pattern[0] == '*' || pattern[0] == '?') {
            ++rank.wildcards;
            pattern.remove_prefix(1);
        } else if (const size_t length = pattern[0] == '[' ? bracket_length(pattern) : 0; length > 0) {
            ++rank.wildcards;
            pattern.remove_prefix(length);
        } else {
            if (pattern[0] == '\\' && pattern.size() > 1) pattern.remove_prefix(1);
            take_character(pattern);
            ++rank.literals;
        }
    }
    return rank;
}

}  // namespace callgate
