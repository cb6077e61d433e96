#include "lifecycle/resumed_policy.h"

#include "policy/policy_name.h"

namespace callgate {

std::shared_ptr<const Policy> policy_in_force(ServerIdentity& server, const std::string& name, const PolicyStore& policies) {
    if (std::shared_ptr<const Policy> found = policies.find(server).policy) return found;
    for (const auto& policy : policies.policies())
        if (policy->name() == name) return policy;
    return nullptr;
}

std::shared_ptr<const Policy> stand_in_for_bad(const std::string& name, const PolicyStore& policies) {
    for (const PolicyProblem& problem : policies.problems())
        if (policy_name_of(problem.file) == name)
            return Policy::deny_everything(name, "(bad policy)",
                                           "The policy of this server cannot be read; nothing is allowed until it is mended.",
                                           Mode::enforce);
    return nullptr;
}

std::shared_ptr<const Policy> stand_in_for_agent(const std::string& name) {
    return Policy::deny_everything(
        name, "(no agent)", "Who decides on the calls of this server cannot start; nothing is allowed now.", Mode::enforce);
}

}  // namespace callgate
