// Appending members to a JSON object that is being written as text; absent values are left out.
#pragma once
#include <charconv>
#include <string>
#include <string_view>

#include "audit/safe_text.h"

namespace callgate {

inline void append_number(std::string& out, int64_t number) {
    char text[24];
    out.append(text, std::to_chars(text, text + sizeof(text), number).ptr);
}

// `key` with what surrounds it: `,"method":`
inline void append_member(std::string& out, std::string_view key, std::string_view text) {
    if (text.empty()) return;
    out += key;
    append_json_text(out, text);
}

inline void append_member(std::string& out, std::string_view key, int64_t number) {
    out += key;
    append_number(out, number);
}

}  // namespace callgate
