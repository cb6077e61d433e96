#include "policy/problem_list.h"

#include <algorithm>

#include "base/limits.h"
#include "policy/nearest_key.h"
#include "policy/policy.h"

namespace callgate {

void ProblemList::add(size_t offset, std::string_view path, std::string message) {
    if (problems_.size() >= kPolicyProblemsMax) {
        ++left_out_;
        return;
    }
    problems_.push_back({offset, as_written(path), std::move(message)});
}

void ProblemList::moved(std::string path, std::string written, Inside inside) {
    moved_.insert_or_assign(std::move(path), Written{std::move(written), inside});
}

std::string ProblemList::as_written(std::string_view path) const {
    if (moved_.empty()) return std::string(path);
    for (std::string_view above = path; !above.empty(); above = above.substr(0, above.rfind('/'))) {
        const auto found = moved_.find(std::string(above));
        if (found == moved_.end()) continue;
        const Written& written = found->second;
        return written.inside == Inside::kept ? written.path + std::string(path.substr(above.size())) : written.path;
    }
    return std::string(path);
}

void ProblemList::report(std::string_view text, std::string_view file, std::vector<PolicyProblem>& out) {
    std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) { return a.offset < b.offset; });
    if (left_out_ > 0) {
        const size_t offset = problems_.back().offset;
        problems_.push_back({offset, "", "and " + std::to_string(left_out_) + " more problems"});
        left_out_ = 0;
    }
    int line = 1, column = 1;
    size_t at = 0;
    for (Problem& problem : problems_) {
        for (; at < std::min(problem.offset, text.size()); ++at) {
            if (text[at] == '\n') {
                ++line;
                column = 1;
            } else if ((static_cast<unsigned char>(text[at]) & 0xc0) != 0x80) {
                ++column;  // columns count characters, as editors do
            }
        }
        out.push_back({std::string(file), line, column, std::move(problem.path), std::move(problem.message)});
    }
    problems_.clear();
}

std::string PolicyProblem::text() const {
    std::string out = file;
    if (line > 0) out += ':' + std::to_string(line) + ':' + std::to_string(column);
    out += ": ";
    if (!path.empty()) out += path + ": ";
    return out + message;
}

std::string join_pointer(std::string_view path, std::string_view key) {
    std::string token;
    for (char c : printable(key, kNameBytesMax)) {
        if (c == '~') {
            token += "~0";
        } else if (c == '/') {
            token += "~1";
        } else {
            token += c;
        }
    }
    std::string out(path);
    out += '/';
    return out + token;
}

std::string join_pointer(std::string_view path, size_t index) { return std::string(path) + '/' + std::to_string(index); }

}  // namespace callgate
