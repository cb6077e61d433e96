#include "jsonrpc/scanner.h"

#include <charconv>

namespace callgate {
namespace {

const char* digits(const char* p, const char* end) {
    while (p < end && *p >= '0' && *p <= '9') ++p;
    return p;
}

// A number that no double holds: infinite to some readers, an error to others. Too small ones are zero to
// all.
bool overflows(const char* begin, const char* end) {
    double value = 0;
    if (std::from_chars(begin, end, value).ec != std::errc::result_out_of_range) return false;
    const char* const whole = *begin == '-' ? begin + 1 : begin;
    const char* p = digits(whole, end);
    const ptrdiff_t whole_digits = p - whole;
    if (p < end && *p == '.') p = digits(p + 1, end);
    if (p == end) return true;
    ++p;
    const bool negative = *p == '-';
    if (*p == '-' || *p == '+') ++p;
    ptrdiff_t exponent = 0;
    if (std::from_chars(p, end, exponent).ec != std::errc{}) return !negative;
    return whole_digits + (negative ? -exponent : exponent) > 0;
}

bool is_byte_order_mark(const char* p, const char* end) { return end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0; }

}  // namespace

// Everything but a plain ASCII string; `p` is at its first special byte.
const char* Scanner::string_slow(const char* p, StringToken& token) {
    token.flags = 0;
    for (;; p = find_special(p, end_, begin_)) {
        if (p == end_) return unexpected(p);
        const auto byte = static_cast<unsigned char>(*p);
        if (byte == '"') {
            token.end = p;
            return p + 1;
        }
        if (byte == '\\') {
            p = escape(p, token);
            if (p == nullptr) return nullptr;
        } else if (byte < 0x20) {
            return unexpected(p);
        } else {
            token.flags |= StringToken::kBeyondAscii;
            while (p<end_&& static_cast<unsigned char>(*p)> 0x7f) {
                const int length = utf8_sequence_length(p, end_);
                if (length == 0) {
                    note(Refusal::invalid_utf8, p);
                    token.flags |= StringToken::kDamaged;
                }
                p += length == 0 ? 1 : length;
            }
        }
    }
}

const char* Scanner::escape(const char* p, StringToken& token) {
    token.flags |= StringToken::kEscaped;
    if (end_ - p < 2) return unexpected(end_);
    switch (p[1]) {
        case '"':
        case '\\':
        case '/':
        case 'b':
        case 'f':
        case 'n':
        case 'r':
        case 't': return p + 2;
        case 'u': break;
        default: return unexpected(p + 1);
    }
    if (end_ - p < 6) return unexpected(end_);
    const int code = hex4(p + 2);
    if (code < 0) return fail(Refusal::not_json, p);
    if (code == 0) token.flags |= StringToken::kEscapedNul;
    if (code < 0xd800 || code > 0xdfff) return p + 6;
    if (code < 0xdc00 && end_ - p >= 12 && p[6] == '\\' && p[7] == 'u') {
        const int low = hex4(p + 8);
        if (low >= 0xdc00 && low <= 0xdfff) return p + 12;
    }
    note(Refusal::lone_surrogate, p);
    token.flags |= StringToken::kDamaged;
    return p + 6;
}

const char* Scanner::number_slow(const char* p) {
    const char* const begin = p;
    bool has_exponent = false;
    if (*p == '-') ++p;
    if (p == end_) return unexpected(p);
    if (*p == '0') {
        ++p;
    } else {
        const char* const past = digits(p, end_);
        if (past == p) return unexpected(p);
        p = past;
    }
    if (p < end_ && *p == '.') {
        const char* const past = digits(p + 1, end_);
        if (past == p + 1) return unexpected(past);
        p = past;
    }
    if (p < end_ && (*p == 'e' || *p == 'E')) {
        has_exponent = true;
        ++p;
        if (p < end_ && (*p == '+' || *p == '-')) ++p;
        const char* const past = digits(p, end_);
        if (past == p) return unexpected(past);
        p = past;
    }
    if ((has_exponent || p - begin > kSafeDigits) && overflows(begin, p)) note(Refusal::not_json, begin);
    return p;
}

const char* Scanner::literal(const char* p) {
    const std::string_view word = *p == 't' ? "true" : *p == 'f' ? "false" : "null";
    const auto left = static_cast<size_t>(end_ - p);
    if (left < word.size()) return memcmp(p, word.data(), left) == 0 ? unexpected(end_) : unexpected(p);
    return memcmp(p, word.data(), word.size()) == 0 ? p + word.size() : unexpected(p);
}

const char* Scanner::skim(const char* p) {
    size_t open = 0;
    StringToken ignored;
    while (p < end_) {
        switch (*p++) {
            case '{':
            case '[': ++open; break;
            case '}':
            case ']':
                if (--open == 0) return p;
                break;
            case '"':
                p = string(p, ignored);
                if (p == nullptr) return nullptr;
                break;
            default: break;
        }
    }
    return unexpected(end_);
}

std::nullptr_t Scanner::unexpected(const char* at) {
    if (at >= end_) return fail(terminated_ ? Refusal::not_json : Refusal::incomplete, end_);
    const auto byte = static_cast<unsigned char>(*at);
    if (byte == 0) return fail(Refusal::nul_byte, at);
    if (byte == '\r') return fail(Refusal::carriage_return, at);
    if (byte < 0x80) return fail(Refusal::not_json, at);
    if (is_byte_order_mark(at, end_)) return fail(Refusal::byte_order_mark, at);
    return fail(utf8_sequence_length(at, end_) == 0 ? Refusal::invalid_utf8 : Refusal::not_json, at);
}

}  // namespace callgate
