#include "http/mcp_value.h"

#include <array>
#include <cstdint>

#include "base/limits.h"

namespace callgate {
namespace {

constexpr std::string_view kPrefix = "=?base64?", kSuffix = "?=";
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::optional<std::string> decode_base64(std::string_view text) {
    if (text.size() % 4 != 0 || text.size() > kNameBytesMax / 3 * 4 + 4) return {};
    std::string out;
    while (!text.empty()) {
        const bool last = text.size() == 4;
        const size_t padding = last && text[3] == '=' ? (text[2] == '=' ? 2 : 1) : 0;
        uint32_t bits = 0;
        for (size_t i = 0; i < 4 - padding; ++i) {
            const size_t digit = kAlphabet.find(text[i]);
            if (digit == std::string_view::npos) return {};
            bits = bits << 6 | static_cast<uint32_t>(digit);
        }
        // Bits that belong to no byte must be zero, or several texts would mean the same.
        const size_t unused = padding * 2;
        if ((bits & ((1U << unused) - 1)) != 0) return {};
        bits >>= unused;
        for (size_t i = 3 - padding; i > 0; --i) out.push_back(static_cast<char>(bits >> (8 * (i - 1)) & 0xff));
        text.remove_prefix(4);
    }
    return out;
}

}  // namespace

std::optional<std::string> decode_mcp_value(std::string_view value) {
    std::optional<std::string> decoded;
    const bool encoded =
        value.size() >= kPrefix.size() + kSuffix.size() && value.starts_with(kPrefix) && value.ends_with(kSuffix);
    if (encoded) {
        value.remove_prefix(kPrefix.size());
        value.remove_suffix(kSuffix.size());
        decoded = decode_base64(value);
    } else {
        decoded = std::string(value);
    }
    if (decoded && decoded->size() > kNameBytesMax) return {};
    return decoded;
}

}  // namespace callgate
