#include "policy/nearest_key.h"

#include <algorithm>
#include <array>

namespace callgate {
namespace {

// Longer words are never compared: no known key comes near it, and the distance costs length squared.
constexpr size_t kWordBytesMax = 48;

size_t edit_distance(std::string_view a, std::string_view b) {
    using Row = std::array<size_t, kWordBytesMax + 1>;
    Row before_last{}, last{}, row{};
    for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t change = last[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
        }
        before_last = last;
        last = row;
    }
    return last[b.size()];
}

// Bytes of the UTF-8 sequence that `text` begins with, 0 where it is broken.
size_t sequence_length(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text[0]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length > text.size()) return 0;
    for (size_t i = 1; i < length; ++i) {
        if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
    }
    return length;
}

// U+0080-009F, U+2028-202E and U+2066-2069: control characters, line ends and text direction overrides.
bool is_deceptive(std::string_view sequence) {
    const auto at = [&](size_t i) { return static_cast<unsigned char>(sequence[i]); };
    if (sequence.size() == 2) return at(0) == 0xc2 && at(1) < 0xa0;
    if (sequence.size() != 3 || at(0) != 0xe2) return false;
    return (at(1) == 0x80 && at(2) >= 0xa8 && at(2) <= 0xae) || (at(1) == 0x81 && at(2) >= 0xa6 && at(2) <= 0xa9);
}

void append_escaped(std::string& out, unsigned char byte) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    out += "\\x";
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
    if (word.empty() || word.size() > kWordBytesMax) return {};
    std::string_view best;
    size_t best_distance = word.size() / 3 + 2;  // a distance below this is near enough
    for (std::string_view candidate : known) {
        if (candidate.size() > kWordBytesMax) continue;
        const size_t distance = edit_distance(word, candidate);
        if (distance < best_distance && distance < candidate.size()) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string printable(std::string_view text, size_t bytes_max) {
    std::string out;
    while (!text.empty()) {
        if (out.size() >= bytes_max) return out + "...";
        const size_t length = sequence_length(text);
        const auto byte = static_cast<unsigned char>(text[0]);
        const size_t taken = std::max<size_t>(length, 1);
        if (length == 0 || byte < 0x20 || byte == 0x7f || is_deceptive(text.substr(0, taken))) {
            for (size_t i = 0; i < taken; ++i) append_escaped(out, static_cast<unsigned char>(text[i]));
        } else {
            out += text.substr(0, taken);
        }
        text.remove_prefix(taken);
    }
    return out;
}

std::string in_quotes(std::string_view text, size_t bytes_max) { return '"' + printable(text, bytes_max) + '"'; }

std::string one_of(std::span<const std::string_view> words) {
    std::string out;
    for (size_t i = 0; i < words.size(); ++i) {
        if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
        out += in_quotes(words[i]);
    }
    return out;
}

}  // namespace callgate
