#include "jsonrpc/text.h"

#include <cstring>

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

}  // namespace

#if defined(__SSE2__)
const char* find_special_far(const char* p, const char* end, const char* floor) {
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
