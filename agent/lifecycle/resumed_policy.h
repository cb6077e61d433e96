// By which policy a session goes on that another agent began.
#pragma once
#include <memory>
#include <string>

#include "policy/store.h"

namespace callgate {

// The one that names its server now, else the one of that name; null where there is neither.
std::shared_ptr<const Policy> policy_in_force(ServerIdentity& server, const std::string& name, const PolicyStore& policies);
// In the place of the policy `name`, whose file is bad, until that is mended; null where there is no such file.
std::shared_ptr<const Policy> stand_in_for_bad(const std::string& name, const PolicyStore& policies);

// In the place of the policy `name`, which is to be enforced, where no agent can go on: until its sessions are handed back.
std::shared_ptr<const Policy> stand_in_for_agent(const std::string& name);

}  // namespace callgate
