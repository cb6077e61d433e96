// Just enough JSON for a test server: the raw text of a member of an object, by scanning. It trusts its input, and so
// shows what a careless server would do with bytes that the agent let through.
//
//   member(R"({"id":7,"params":{"name":"echo"}})", "params")  ->  {"name":"echo"}
#pragma once
#include <string>
#include <string_view>

namespace scan {

inline size_t skip_string(std::string_view text, size_t at) {  // `at` is on the opening quote
    for (++at; at < text.size(); ++at) {
        if (text[at] == '\\')
            ++at;
        else if (text[at] == '"')
            return at + 1;
    }
    return text.size();
}

inline size_t skip_space(std::string_view text, size_t at) {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n')) ++at;
    return at;
}

inline size_t skip_value(std::string_view text, size_t at) {
    int depth = 0;
    while (at < text.size()) {
        const char c = text[at];
        if (c == '"') {
            at = skip_string(text, at);
            if (depth == 0) return at;
            continue;
        }
        if (c == '{' || c == '[') ++depth;
        if (c == '}' || c == ']') {
            if (depth == 0) return at;
            if (--depth == 0) return at + 1;
        }
        if (depth == 0 && c == ',') return at;
        ++at;
    }
    return at;
}

// Raw value of the last member `key` of the object `text`; empty where there is none.
inline std::string_view member(std::string_view text, std::string_view key) {
    std::string_view found;
    size_t at = skip_space(text, 0);
    if (at >= text.size() || text[at] != '{') return found;
    ++at;
    while (at < text.size()) {
        at = skip_space(text, at);
        if (at >= text.size() || text[at] != '"') break;
        const size_t name_end = skip_string(text, at);
        const std::string_view name = text.substr(at + 1, name_end - at - 2);
        at = skip_space(text, name_end);
        if (at >= text.size() || text[at] != ':') break;
        at = skip_space(text, at + 1);
        const size_t end = skip_value(text, at);
        if (name == key) {
            found = text.substr(at, end - at);
            while (!found.empty() && (found.back() == ' ' || found.back() == '\r')) found.remove_suffix(1);
        }
        at = skip_space(text, end);
        if (at >= text.size() || text[at] != ',') break;
        ++at;
    }
    return found;
}

inline std::string_view unquote(std::string_view raw) {
    return raw.size() >= 2 && raw.front() == '"' ? raw.substr(1, raw.size() - 2) : std::string_view{};
}

inline long number(std::string_view raw, long otherwise) { return raw.empty() ? otherwise : std::stol(std::string(raw)); }

}  // namespace scan
