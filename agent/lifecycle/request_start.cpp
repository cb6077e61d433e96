#include "lifecycle/request_start.h"

#include <algorithm>
#include <cctype>

namespace callgate {

bool names_http(std::string_view bytes) {
    auto same = [](char a, char b) { return tolower(static_cast<unsigned char>(a)) == b; };
    return std::search(bytes.begin(), bytes.end(), kHttpWord.begin(), kHttpWord.end(), same) != bytes.end();
}

bool begins_request(std::string_view bytes) {
    size_t start = bytes.find_first_not_of("\r\n");
    if (start == std::string_view::npos) return false;
    size_t end = bytes.find('\n', start);
    return end != std::string_view::npos && names_http(bytes.substr(start, end - start));
}

bool may_begin_request(std::string_view bytes) {
    bytes.remove_prefix(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));
    if (bytes.empty()) return false;
    constexpr std::string_view kMethods[] = {"POST ", "GET ", "DELETE ", "PUT ", "PATCH ", "HEAD ", "OPTIONS "};
    return std::any_of(std::begin(kMethods), std::end(kMethods), [&](std::string_view method) {
        return bytes.size() < method.size() ? method.substr(0, bytes.size()) == bytes : bytes.substr(0, method.size()) == method;
    });
}

bool begins_message(std::string_view bytes) {
    size_t start = bytes.find_first_not_of(" \t\r\n");
    return start != std::string_view::npos && (bytes[start] == '{' || bytes[start] == '[');
}

}  // namespace callgate
