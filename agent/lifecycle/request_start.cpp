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

}  // namespace callgate
