// What has changed between two texts, line by line.
//
//   line_diff({"a", "b"}, {"a", "c"})   ->  "  a", "- b", "+ c"
#pragma once
#include <string>
#include <vector>

namespace callgate {

// Of long texts what begins and ends alike is left out of the comparison, and beyond kDiffLinesMax lines all old lines stand
// before all new ones.
inline constexpr size_t kDiffLinesMax = 1000;
std::vector<std::string> line_diff(const std::vector<std::string>& before, const std::vector<std::string>& after);

}  // namespace callgate
