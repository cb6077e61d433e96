// DraftPolicy: a starter policy from what a server says of its tools, each tool with its class of risk and
// the reason.
//
//   read         allowed
//   write        30 calls a minute
//   execute      10 calls a minute
//   financial    denied: "Requires human approval."
//   destructive  hidden; and denied should somebody show it again
//
// Other names of a tool ("Alias of x" in a description) share its rules and its count; the worst of the names
// decides. The text is the same for the same tools, in whatever order they are listed, and loads without a
// problem.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "draft/risk_class.h"
#include "policy/policy.h"

namespace callgate {

struct DraftedTool {
    std::string name;
    std::vector<std::string> aliases;
    RiskFinding finding;
};

struct Draft {
    std::string text;                          // of the policy, with a line end
    std::array<size_t, kRiskClasses> tools{};  // of each class
    size_t aliases = 0;
    std::vector<std::string> unusable;  // names that no policy can hold; the default denies them
};

// By class, then by name.
std::vector<DraftedTool> drafted_tools(const std::vector<ListedTool>& tools);
// `server`: may be empty; then the policy names none, and cannot stand in policies.d/ as it is.
Draft draft_policy(const std::vector<ListedTool>& tools, const ServerMatch& server);

}  // namespace callgate
