// ProblemList: collects what is wrong in one file, by byte offset, and turns the offsets into lines and
// columns at the end, in one pass. Bounded: of more than kPolicyProblemsMax problems the rest is only
// counted.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
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
    // What is at `path` in the tree is written at `written` in the file, and so is what lies below it, at the same path from
    // there or, where that is dropped, at `written` itself.
    enum class Inside : uint8_t { kept, dropped };
    void moved(std::string path, std::string written, Inside inside = Inside::kept);
    // The place in the file of a place in the tree.
    std::string as_written(std::string_view path) const;
    // Appends to `out` in the order of the file.
    void report(std::string_view text, std::string_view file, std::vector<PolicyProblem>& out);

  private:
    struct Problem {
        size_t offset;
        std::string path, message;
    };
    struct Written {
        std::string path;
        Inside inside;
    };
    std::vector<Problem> problems_;
    std::unordered_map<std::string, Written> moved_;
    size_t left_out_ = 0;
};

// `path` + "/" + `key` as a JSON Pointer token ("~" and "/" escaped), made printable and cut to a bounded
// length.
std::string join_pointer(std::string_view path, std::string_view key);
std::string join_pointer(std::string_view path, size_t index);

}  // namespace callgate
