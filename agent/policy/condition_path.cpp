#include "policy/condition_path.h"

#include "base/limits.h"
#include "policy/nearest_key.h"

namespace callgate {
namespace {

constexpr std::array<std::string_view, 6> kRoots = {"args", "annotations", "client", "grant", "peer", "server"};

// Which labels there are, grants.json says, and may say otherwise tomorrow.
std::optional<ConditionPath> label_path(std::string_view name, std::string& problem) {
    if (!name.empty() && name.find_first_of(".*\\") == name.npos) {
        return ConditionPath{PathRoot::caller, CallerFact::grant_label, std::string(name), {}};
    }
    problem = "expected \"grant.key\", \"grant.name\" or \"grant.\" and the name of a label";
    return std::nullopt;
}

std::optional<ConditionPath> caller_path(std::string_view text, std::string_view root, std::string& problem) {
    std::vector<std::string_view> known;
    for (const auto& [name, fact] : kCallerFacts) {
        if (name == text) return ConditionPath{PathRoot::caller, fact, {}, {}};
        if (name.starts_with(root) && name[root.size()] == '.') known.push_back(name);
    }
    if (root == "grant") return label_path(text.substr(root.size() + 1), problem);
    problem = in_quotes(text) + " is not known; expected " + one_of(known);
    return std::nullopt;
}

// One step up to the next dot that is not escaped; `at` moves behind that dot.
std::optional<PathStep> next_step(std::string_view text, size_t& at, std::string& problem) {
    PathStep step;
    bool escaped = false;
    for (; at < text.size() && text[at] != '.'; ++at) {
        if (text[at] == '\\') {
            escaped = true;
            if (++at == text.size()) {
                problem = "ends in the middle of an escape; write \\\\ for a backslash";
                return std::nullopt;
            }
        }
        step.name += text[at];
    }
    ++at;
    step.any = step.name == "*" && !escaped;
    if (step.name.empty()) {
        problem = "has an empty step; write \\. for a dot within a name";
        return std::nullopt;
    }
    return step;
}

}  // namespace

std::optional<std::vector<PathStep>> parse_path_steps(std::string_view text, std::string& problem) {
    std::vector<PathStep> steps;
    // A text that ends with a dot has an empty step behind it.
    for (size_t at = 0; at <= text.size();) {
        std::optional<PathStep> step = next_step(text, at, problem);
        if (!step) return std::nullopt;
        steps.push_back(std::move(*step));
    }
    if (steps.size() < static_cast<size_t>(kJsonDepthMax)) return steps;
    problem = "has more steps than a message can be deep";
    return std::nullopt;
}

std::optional<ConditionPath> parse_condition_path(std::string_view text, std::string& problem) {
    const size_t dot = text.find('.');
    const std::string_view root = text.substr(0, dot);
    bool known = false;
    for (std::string_view each : kRoots) known |= each == root;
    if (!known) {
        problem = in_quotes(text) + " begins with none of " + one_of(kRoots);
        if (root == "state") problem = "\"state\" belongs to the YAML dialect; write a member of \"limits\"";
        if (const std::string_view near = nearest(root, kRoots); !near.empty() && root != "state") {
            problem += "; did you mean " + in_quotes(near) + "?";
        }
        return std::nullopt;
    }
    if (dot == text.npos) {
        problem = "names nothing of " + in_quotes(root) + "; write " + in_quotes(std::string(root) + ".NAME");
        return std::nullopt;
    }
    if (root != "args" && root != "annotations") return caller_path(text, root, problem);
    ConditionPath path;
    path.root = root == "args" ? PathRoot::args : PathRoot::annotations;
    std::optional<std::vector<PathStep>> steps = parse_path_steps(text.substr(dot + 1), problem);
    if (!steps) return std::nullopt;
    path.steps = std::move(*steps);
    return path;
}

}  // namespace callgate
