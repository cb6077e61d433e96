// The fingerprint of a call: SHA-256 over everything that an approval is for: the policy and its revision, the grant, the
// method, the tool, and the arguments in their canonical form. Two spellings of one call share it, and no two calls do.
#pragma once
#include <array>
#include <optional>

#include "policy/approval_desk.h"

namespace callgate {

// Nothing where the arguments cannot be read.
std::optional<std::array<char, 32>> fingerprint_of(const ApprovalQuestion& question);

}  // namespace callgate
