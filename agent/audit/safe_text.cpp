#include "audit/safe_text.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace callgate {
namespace {

enum class Target { json_text, json_value, terminal };

struct CodePoint {
    uint32_t value = 0;
    size_t bytes = 0;  // 0: not UTF-8
};

// Decodes the sequence that begins with a byte >= 0x80; overlong forms, surrogates and values over U+10FFFF
// are none.
CodePoint decode(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
    const uint8_t lead = byte(0);
    const size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return {};
    uint32_t value = lead & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {};
        value = value << 6 | (byte(i) & 0x3fu);
    }
    constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < kLeast[bytes] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return {};
    return {value, bytes};
}

struct Range {
    uint32_t first, last;
};

// What moves a cursor, reorders a line, or is not seen (Default_Ignorable_Code_Point of Unicode, and the annotation marks):
// hidden text is read by a model all the same. In order.
constexpr Range kUnsafe[] = {
    {0x0, 0x1f},      {0x7f, 0x9f},       {0xad, 0xad},       {0x34f, 0x34f},     {0x61c, 0x61c},
    {0x115f, 0x1160}, {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x200b, 0x200f},   {0x2028, 0x202e},
    {0x2060, 0x206f}, {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
    {0xfff0, 0xfffb}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

bool is_unsafe(uint32_t c) {
    const Range* range = std::lower_bound(std::begin(kUnsafe), std::end(kUnsafe), c,
                                          [](const Range& each, uint32_t value) { return each.last < value; });
    return range != std::end(kUnsafe) && range->first <= c;
}

void append_unit(std::string& out, uint32_t unit) {
    constexpr char kHex[] = "0123456789abcdef";
    const char text[] = {'\\', 'u', kHex[unit >> 12 & 15], kHex[unit >> 8 & 15], kHex[unit >> 4 & 15], kHex[unit & 15]};
    out.append(text, sizeof(text));
}

void append_escaped(std::string& out, uint32_t c) {
    if (c >= 0x10000) {
        append_unit(out, 0xd800 + ((c - 0x10000) >> 10));
        append_unit(out, 0xdc00 + ((c - 0x10000) & 0x3ff));
    } else {
        append_unit(out, c);
    }
}

// Bytes that need no look: printable ASCII, and where JSON strings are made neither quote nor backslash.
bool is_plain(char c, Target target) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || byte >= 0x7f) return false;
    return target != Target::json_text || (c != '"' && c != '\\');
}

// Consumes one character that is not plain.
size_t append_special(std::string& out, std::string_view rest, Target target) {
    const auto byte = static_cast<uint8_t>(rest[0]);
    if (byte >= 0x80) {
        const CodePoint point = decode(rest);
        if (point.bytes == 0) {
            out += "\\ufffd";
            return 1;
        }
        if (is_unsafe(point.value)) {
            append_escaped(out, point.value);
        } else {
            out += rest.substr(0, point.bytes);
        }
        return point.bytes;
    }
    if (rest[0] == '"' || rest[0] == '\\') {
        out += '\\';
        out += rest[0];
    } else if (byte < 0x20 && target == Target::json_value) {
        out += ' ';  // between tokens; inside a string JSON has none
    } else if (rest[0] == '\n' && target == Target::json_text) {
        out += "\\n";
    } else if (rest[0] == '\t' && target == Target::json_text) {
        out += "\\t";
    } else {
        append_escaped(out, byte);
    }
    return 1;
}

void append(std::string& out, std::string_view text, Target target) {
    while (!text.empty()) {
        size_t plain = 0;
        while (plain < text.size() && is_plain(text[plain], target)) ++plain;
        out += text.substr(0, plain);
        text.remove_prefix(plain);
        if (!text.empty()) text.remove_prefix(append_special(out, text, target));
    }
}

}  // namespace

void append_json_text(std::string& out, std::string_view text) {
    out += '"';
    append(out, text, Target::json_text);
    out += '"';
}

void append_json_value(std::string& out, std::string_view json) { append(out, json, Target::json_value); }

std::string safe_json_document(std::string_view json) {
    std::string out;
    for (size_t end = 0; (end = json.find('\n')) != json.npos; json.remove_prefix(end + 1)) {
        append_json_value(out, json.substr(0, end));
        out += '\n';
    }
    append_json_value(out, json);
    return out;
}

void append_terminal_text(std::string& out, std::string_view text) { append(out, text, Target::terminal); }

std::string terminal_text(std::string_view text) {
    std::string out;
    append_terminal_text(out, text);
    return out;
}

}  // namespace callgate
