#include "jsonrpc/text.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace callgate {
namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

char simple_escape(char c) {
    switch (c) {
        case 'b': return '\b';
        case 'f': return '\f';
        case 'n': return '\n';
        case 'r': return '\r';
        case 't': return '\t';
        default: return c;  // quote, backslash, slash
    }
}

const char* find_special_bytewise(const char* p, const char* end) {
    for (; p < end; ++p) {
        const auto byte = static_cast<unsigned char>(*p);
        if (byte == '"' || byte == '\\' || byte < 0x20 || byte > 0x7f) return p;
    }
    return end;
}

#if defined(__x86_64__)
constexpr ptrdiff_t kStride = 128;

// To the first stride that has something special in it, or that is not whole. As special_mask(), with vectors of twice that size.
__attribute__((target("avx2"))) const char* skip_plain_avx2(const char* p, const char* end) {
    const __m256i quote = _mm256_set1_epi8('"'), backslash = _mm256_set1_epi8('\\'), space = _mm256_set1_epi8(' ');
    for (; end - p >= kStride; p += kStride) {
        __m256i special = _mm256_setzero_si256();
        for (ptrdiff_t at = 0; at < kStride; at += 32) {
            const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + at));
            special = _mm256_or_si256(special, _mm256_cmpeq_epi8(bytes, quote));
            special = _mm256_or_si256(special, _mm256_cmpeq_epi8(bytes, backslash));
            special = _mm256_or_si256(special, _mm256_cmpgt_epi8(space, bytes));
        }
        if (!_mm256_testz_si256(special, special)) break;
    }
    return p;
}

const char* skip_plain(const char* p, const char* end) {
    static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
    return has_avx2 ? skip_plain_avx2(p, end) : p;
}
#endif

}  // namespace

#if defined(__SSE2__)
const char* find_special_far(const char* p, const char* end, const char* floor) {
#if defined(__x86_64__)
    if (end - p >= 2 * kStride) p = skip_plain(p, end);
#endif
    while (end - p >= 64) {
        const unsigned a = special_mask(p), b = special_mask(p + 16), c = special_mask(p + 32), d = special_mask(p + 48);
        if ((a | b | c | d) != 0) break;
        p += 64;
    }
    while (end - p >= 16) {
        const unsigned mask = special_mask(p);
        if (mask != 0) return p + __builtin_ctz(mask);
        p += 16;
    }
    if (end - floor >= 16) {
        const unsigned mask = special_mask(end - 16) >> (16 - (end - p));
        return mask != 0 ? p + __builtin_ctz(mask) : end;
    }
    return find_special_bytewise(p, end);
}
#else
const char* find_special_far(const char* p, const char* end, const char* /*floor*/) { return find_special_bytewise(p, end); }
#endif

int hex4(const char* p) {
    int value = 0;
    for (int i = 0; i < 4; ++i) {
        const int digit = hex_digit(p[i]);
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

void append_utf8(std::string& out, uint32_t code) {
    const auto tail = [&](int shift) { out.push_back(static_cast<char>(0x80 | ((code >> shift) & 0x3f))); };
    if (code < 0x80) {
        out.push_back(static_cast<char>(code));
    } else if (code < 0x800) {
        out.push_back(static_cast<char>(0xc0 | (code >> 6)));
        tail(0);
    } else if (code < 0x10000) {
        out.push_back(static_cast<char>(0xe0 | (code >> 12)));
        tail(6), tail(0);
    } else {
        out.push_back(static_cast<char>(0xf0 | (code >> 18)));
        tail(12), tail(6), tail(0);
    }
}

void append_decoded(std::string& out, std::string_view content) {
    const char* p = content.data();
    const char* const end = p + content.size();
    while (p < end) {
        const auto* slash = static_cast<const char*>(memchr(p, '\\', static_cast<size_t>(end - p)));
        if (slash == nullptr) slash = end;
        out.append(p, static_cast<size_t>(slash - p));
        p = slash;
        if (end - p < 2) break;
        if (p[1] != 'u') {
            out.push_back(simple_escape(p[1]));
            p += 2;
            continue;
        }
        if (end - p < 6) break;
        auto code = static_cast<uint32_t>(hex4(p + 2));
        p += 6;
        if (code >= 0xd800 && code < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
            const auto low = static_cast<uint32_t>(hex4(p + 2));
            if (low >= 0xdc00 && low < 0xe000) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                p += 6;
            }
        }
        append_utf8(out, code);
    }
}

}  // namespace callgate
