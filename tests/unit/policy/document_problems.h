// What is wrong with a text, as people are told it, whatever its syntax.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/json_document.h"
#include "policy/policy_problem.h"

namespace callgate {

using DocumentParser = std::optional<JsonValue> (*)(std::string_view, ProblemList&);

inline std::vector<std::string> problems_of(DocumentParser parse, std::string_view text) {
    ProblemList list;
    const bool parsed = parse(text, list).has_value();
    std::vector<PolicyProblem> problems;
    list.report(text, "f", problems);
    std::vector<std::string> out;
    for (const PolicyProblem& problem : problems) out.push_back(problem.text());
    if (!parsed && out.empty()) out.emplace_back("nothing said");
    return out;
}

inline std::string only_problem_of(DocumentParser parse, std::string_view text) {
    const std::vector<std::string> problems = problems_of(parse, text);
    return problems.size() == 1 ? problems[0] : "not one problem";
}

}  // namespace callgate
