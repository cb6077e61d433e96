#include "base/text_diff.h"

#include <algorithm>
#include <cstdint>

namespace callgate {
namespace {

using Lines = std::vector<std::string>;

// lengths[i][j]: of the longest common subsequence of before[i…] and after[j…].
std::vector<std::vector<uint16_t>> common_lengths(const Lines& before, const Lines& after) {
    std::vector<std::vector<uint16_t>> lengths(before.size() + 1, std::vector<uint16_t>(after.size() + 1, 0));
    for (size_t i = before.size(); i-- > 0;) {
        for (size_t j = after.size(); j-- > 0;) {
            lengths[i][j] = before[i] == after[j] ? static_cast<uint16_t>(lengths[i + 1][j + 1] + 1)
                                                  : std::max(lengths[i + 1][j], lengths[i][j + 1]);
        }
    }
    return lengths;
}

void append_changes(const Lines& before, const Lines& after, Lines& out) {
    const bool is_long = before.size() > kDiffLinesMax || after.size() > kDiffLinesMax;
    const auto lengths = is_long ? std::vector<std::vector<uint16_t>>() : common_lengths(before, after);
    size_t i = 0, j = 0;
    while (i < before.size() || j < after.size()) {
        if (!is_long && i < before.size() && j < after.size() && before[i] == after[j]) {
            out.push_back("  " + before[i++]);
            ++j;
        } else if (i < before.size() && (is_long || j == after.size() || lengths[i + 1][j] >= lengths[i][j + 1])) {
            out.push_back("- " + before[i++]);
        } else {
            out.push_back("+ " + after[j++]);
        }
    }
}

}  // namespace

Lines line_diff(const Lines& before, const Lines& after) {
    const size_t shorter = std::min(before.size(), after.size());
    size_t begin = 0, end = 0;
    while (begin < shorter && before[begin] == after[begin]) ++begin;
    while (end < shorter - begin && before[before.size() - 1 - end] == after[after.size() - 1 - end]) ++end;
    Lines out;
    for (size_t i = 0; i < begin; ++i) out.push_back("  " + before[i]);
    append_changes({before.begin() + static_cast<long>(begin), before.end() - static_cast<long>(end)},
                   {after.begin() + static_cast<long>(begin), after.end() - static_cast<long>(end)}, out);
    for (size_t i = before.size() - end; i < before.size(); ++i) out.push_back("  " + before[i]);
    return out;
}

}  // namespace callgate
