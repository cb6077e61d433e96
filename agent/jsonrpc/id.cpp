#include "jsonrpc/id.h"

#include "base/limits.h"

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

bool is_valid_string_id(const StringToken& token) {
    return !token.damaged() && token.raw().size() <= kIdBytesMax;
}

}  // namespace callgate
