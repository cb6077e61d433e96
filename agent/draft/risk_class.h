// The class of risk of a tool, from what its server says of it, and why.
//
//   name "data_delete"                                        ->  destructive  "delete" removes for good
//   name "search", annotation readOnlyHint false              ->  write        the server says that it is not
//   read-only name "data_manage", "action" one of list, prune           ->  destructive  "action" decides:
//   list reads, prune removes for good name "sit_with"                                           ->  write
//   nothing says what it does
//
// The worst that anything says counts: nothing that a server says makes a tool milder than its name is. Where
// the name says nothing, the description's first verb decides; where that says nothing either, it is a write.
#pragma once
#include <string>
#include <string_view>

#include "draft/risk_words.h"
#include "draft/tool_listing.h"

namespace callgate {

struct RiskFinding {
    RiskClass risk = RiskClass::write;
    std::string reason;
};

// The reason of what is taken for a write because nothing says more.
inline constexpr std::string_view kNothingSaid = "nothing says what it does";

RiskFinding classify(const ListedTool& tool);

}  // namespace callgate
