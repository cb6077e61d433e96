// What holds of the problems of every policy file, whatever its syntax.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"
#include "property.h"

inline void check_problems(std::string_view text, const std::vector<callgate::PolicyProblem>& problems, const char* target) {
    size_t lines = 1;
    for (char c : text) lines += c == '\n';
    int last = 0;
    for (const callgate::PolicyProblem& problem : problems) {
        hold(problem.line >= 1 && static_cast<size_t>(problem.line) <= lines && problem.column >= 1, target,
             "a problem without a place");
        hold(problem.line >= last, target, "problems out of order");
        hold(!problem.message.empty() && problem.text().find('\n') == std::string::npos, target,
             "a message of no or several lines");
        last = problem.line;
    }
}
