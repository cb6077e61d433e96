// Glob: the patterns of fnmatch(3) without flags, on byte strings of any length and content.
//
// `*` any run of characters, `?` one, `[a-z]` `[!a-z]` one of a set, `\` takes the next character as it is. A
// character is one UTF-8 sequence. Never takes longer than pattern length times text length, which fnmatch(3)
// does not promise; tool names and command lines are written by others.
//
//   glob_match("read_*", "read_file")  ->  true
#pragma once
#include <string>
#include <string_view>

namespace callgate {

bool glob_match(std::string_view pattern, std::string_view text);

// What is wrong with a pattern (an open bracket, a trailing backslash, [:classes:]); empty where nothing is.
std::string glob_problem(std::string_view pattern);

// Orders patterns: more literal characters first, then fewer wildcards.
struct GlobRank {
    size_t literals = 0, wildcards = 0;
    bool is_before(const GlobRank& other) const {
        return literals != other.literals ? literals > other.literals : wildcards < other.wildcards;
    }
};
GlobRank glob_rank(std::string_view pattern);

}  // namespace callgate
