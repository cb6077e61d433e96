// A request for approval as others are told of it, as JSON.
#pragma once
#include <nlohmann/json_fwd.hpp>

#include "approval/book.h"

namespace callgate {

enum class ApprovalDetail : uint8_t { keys, excerpt, arguments };  // how much of the arguments
nlohmann::json approval_json(const ApprovalRecord& record, ApprovalDetail detail);
nlohmann::json decider_json(const ApprovalDecider& by);
// As the kernel says of the other end of the control socket: {"uid","login_uid"}.
ApprovalDecider decider_of(const nlohmann::json& peer);

}  // namespace callgate
