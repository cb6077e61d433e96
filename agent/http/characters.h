// Classes of bytes in HTTP (RFC 9110 §5.6.2, §5.5; RFC 3986 §2), as constant tables.
//
//   is_token_byte('-') true   is_token_byte(':') false   is_value_byte('\t') true   is_value_byte('\0') false
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace callgate {

namespace character_class {
inline constexpr uint8_t kToken = 1;   // of method and field names
inline constexpr uint8_t kValue = 2;   // of field values and reason phrases: tab, space, visible, above 0x7f
inline constexpr uint8_t kTarget = 4;  // of request targets
inline constexpr uint8_t kHost = 8;    // of a registered name, an address in brackets and a port

constexpr std::array<uint8_t, 256> make() {
    std::array<uint8_t, 256> classes{};
    const auto mark = [&](std::string_view bytes, uint8_t bits) {
        for (const char byte : bytes) classes[static_cast<unsigned char>(byte)] |= bits;
    };
    for (unsigned byte = 0x20; byte < 0x100; ++byte) classes[byte] = byte == 0x7f ? 0 : kValue;
    mark("\t", kValue);
    // A '#' begins a fragment, which is no part of a request. The others that RFC 3986 has no place for are sent by
    // real clients and stay as they are, but for the quotes, angle brackets and the backslash that readers rewrite.
    for (unsigned byte = 0x21; byte < 0x7f; ++byte) classes[byte] |= kTarget;
    for (const char byte : std::string_view("#\"<>\\")) classes[static_cast<unsigned char>(byte)] &= ~kTarget & 0xff;
    constexpr std::string_view kAlphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    mark(kAlphanumeric, kToken | kHost);
    mark("!#$%&'*+-.^_`|~", kToken);
    // Without the comma: a list would look like one name.
    mark("-._~%!$&'()*+;=:[]", kHost);
    return classes;
}
inline constexpr std::array<uint8_t, 256> kClasses = make();
}  // namespace character_class

inline bool has_class(char byte, uint8_t wanted) {
    return (character_class::kClasses[static_cast<unsigned char>(byte)] & wanted) != 0;
}
inline bool is_token_byte(char byte) { return has_class(byte, character_class::kToken); }
inline bool is_value_byte(char byte) { return has_class(byte, character_class::kValue); }
inline bool is_target_byte(char byte) { return has_class(byte, character_class::kTarget); }
inline bool is_host_byte(char byte) { return has_class(byte, character_class::kHost); }
inline bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }
inline bool is_blank(char byte) { return byte == ' ' || byte == '\t'; }

inline char lower(char byte) { return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + ('a' - 'A')) : byte; }

// Value of a hexadecimal digit, or -1.
inline int hex_digit(char byte) {
    if (is_digit(byte)) return byte - '0';
    const char small = lower(byte);
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

// Without spaces and tabs at both ends.
inline std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

inline bool is_token(std::string_view text) {
    for (const char byte : text) {
        if (!is_token_byte(byte)) return false;
    }
    return !text.empty();
}

// Takes the next element off a comma-separated list without quoted strings: "a , b" -> "a", then "b". Empty elements
// come too. False when nothing is left, which a view without data stands for.
inline bool next_element(std::string_view& list, std::string_view& element) {
    if (list.data() == nullptr) return false;
    const size_t comma = list.find(',');
    element = trimmed(list.substr(0, comma));
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    return true;
}

}  // namespace callgate
