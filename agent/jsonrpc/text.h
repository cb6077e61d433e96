// The text of a JSON string: where its special bytes are, whether its UTF-8 is well-formed, what its escapes
// mean.
//
//   content `ec\u0068o`  ->  append_decoded: `echo`
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace callgate {

// A string literal in the input; [begin, end) excludes the quotes. Not initialised: the scanner sets all of
// it.
struct StringToken {
    const char* begin;
    const char* end;
    uint8_t flags;  // one byte, so that a copy does not wait for three stores

    static constexpr uint8_t kEscaped = 1;      // holds a backslash
    static constexpr uint8_t kEscapedNul = 2;   // holds \u0000
    static constexpr uint8_t kDamaged = 4;      // ill-formed UTF-8 or a lone surrogate: what it says depends on the reader
    static constexpr uint8_t kBeyondAscii = 8;  // holds a byte above 0x7f
    bool escaped() const { return (flags & kEscaped) != 0; }
    bool escaped_nul() const { return (flags & kEscapedNul) != 0; }
    bool damaged() const { return (flags & kDamaged) != 0; }
    bool plain() const { return flags == 0; }  // means its bytes, and they are printable ASCII

    std::string_view raw() const { return {begin, static_cast<size_t>(end - begin)}; }
};

// Length of the well-formed UTF-8 sequence that starts at `p` (whose first byte is above 0x7f), 0 where it is
// ill-formed or cut off by `end` (Unicode 15, table 3-7).
inline int utf8_sequence_length(const char* p, const char* end) {
    const auto continues = [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; };
    const auto first = static_cast<unsigned char>(*p);
    const ptrdiff_t left = end - p;
    if (left < 2 || first < 0xc2) return 0;
    const auto second = static_cast<unsigned char>(p[1]);
    if (first < 0xe0) return continues(p[1]) ? 2 : 0;
    if (first < 0xf0) {
        const unsigned low = first == 0xe0 ? 0xa0 : 0x80, high = first == 0xed ? 0x9f : 0xbf;
        return left >= 3 && second >= low && second <= high && continues(p[2]) ? 3 : 0;
    }
    if (first > 0xf4) return 0;
    const unsigned low = first == 0xf0 ? 0x90 : 0x80, high = first == 0xf4 ? 0x8f : 0xbf;
    return left >= 4 && second >= low && second <= high && continues(p[2]) && continues(p[3]) ? 4 : 0;
}

// Value of the four hexadecimal digits at `p`, or -1.
int hex4(const char* p);

// Appends code point `code` as UTF-8 (surrogates too, as three bytes).
void append_utf8(std::string& out, uint32_t code);

// Appends the content of a literal whose escapes have been checked. Never appends more bytes than it reads.
void append_decoded(std::string& out, std::string_view content);

#if defined(__SSE2__)
// One bit for each of the 16 bytes at `p` that is a quote, a backslash, a control character or above 0x7f.
inline unsigned special_mask(const char* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    // Signed comparison: bytes above 0x7f are negative, so "less than a space" is control or non-ASCII at
    // once.
    return static_cast<unsigned>(_mm_movemask_epi8(
        _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))),
                     _mm_cmplt_epi8(bytes, _mm_set1_epi8(' ')))));
}
#endif

// find_special() from the 17th byte on, and near the end of the input.
const char* find_special_far(const char* p, const char* end, const char* floor);

// First byte in [p, end) that is a quote, a backslash, a control character or above 0x7f; `end` if there is
// none. `floor` is the lowest readable address; it lets the last bytes be read as a whole vector.
inline const char* find_special(const char* p, const char* end, const char* floor) {
#if defined(__SSE2__)
    if (end - p >= 16) [[likely]] {
        const unsigned mask = special_mask(p);
        if (mask != 0) [[likely]]
            return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    return find_special_far(p, end, floor);
}

}  // namespace callgate
