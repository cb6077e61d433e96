#include "jsonrpc/id.h"

#include <algorithm>

#include "base/limits.h"
#include "jsonrpc/answer.h"

namespace callgate {

bool is_valid_integer_id(std::string_view token) {
    constexpr size_t kDigitsMax = 16;  // of 2^53 - 1
    const std::string_view digits = token.substr(token.substr(0, 1) == "-" ? 1 : 0);
    if (digits.empty() || digits.size() > kDigitsMax || token == "-0") return false;
    int64_t value = 0;
    for (const char c : digits) {
        if (c < '0' || c > '9') return false;
        value = value * 10 + (c - '0');
    }
    return value <= kIdIntegerMax;
}

bool is_valid_string_id(const StringToken& token) { return !token.damaged() && token.raw().size() <= kIdBytesMax; }

std::string id_of_key(std::string_view key) {
    std::string id;
    if (key.starts_with("s:")) {
        append_json_string(id, key.substr(2));
    } else {
        id = key.substr(std::min<size_t>(key.size(), 2));
    }
    return id;
}

}  // namespace callgate
