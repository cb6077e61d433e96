// ProblemList: collects what is wrong in one file, by byte offset, and turns the offsets into lines and
// columns at the end, in one pass. Bounded: of more than kPolicyProblemsMax problems the rest is only
// counted.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace callgate {

struct PolicyProblem;

// Enough to repair any real file; a file that is wrong in more places is not a policy.
inline constexpr size_t kPolicyProblemsMax = 200;

class ProblemList {
  public:
    // `path`: JSON Pointer; empty for the whole file.
    void add(size_t offset, std::string_view path, std::string message);
    bool empty() const { return problems_.empty(); }
    // Appends to `out` in the order of the file.
    void report(std::string_view text, std::string_view file, std::vector<PolicyProblem>& out);

  private:
    struct Problem {
        size_t offset;
        std::string path, message;
    };
    std::vector<Problem> problems_;
    size_t left_out_ = 0;
};

// `path` + "/" + `key` as a JSON Pointer token ("~" and "/" escaped), made printable and cut to a bounded
// length.
std::string join_pointer(std::string_view path, std::string_view key);
std::string join_pointer(std::string_view path, size_t index);

}  // namespace callgate
