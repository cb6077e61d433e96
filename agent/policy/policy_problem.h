// PolicyProblem: something wrong in a file that somebody wrote, and where.
#pragma once
#include <string>

namespace callgate {

struct PolicyProblem {
    std::string file;
    int line = 0;              // 1-based
    int column = 0;            // 1-based
    std::string path;          // JSON Pointer
    std::string message;       // what is wrong and what to do
    std::string text() const;  // "file:line:column: path: message"
};

}  // namespace callgate
