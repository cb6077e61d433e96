// Property: a policy file loads, or every problem has a place in it; loading it again says the same. What nlohmann::json does
// not read never loads, and what loads can be asked about any tool.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "policy_checks.h"

namespace {

using callgate::Policy;
using callgate::PolicyProblem;

void same(bool agree, const char* what) { hold(agree, "policy", what); }

void check_policy(const Policy& policy) {
    callgate::CounterTable counters;
    for (std::string_view tool : {"a", "b", "glob:*", ""}) {
        const auto verdict =
            policy.judge_tool({tool, R"({"a":1,"l":["a",{"x":2.5}],"text":"ab"})"}, {"g", "s", "v"}, 0, counters);
        same((verdict.action == callgate::Action::deny) != verdict.rule.empty(), "a denial has a rule, nothing else has");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    std::vector<PolicyProblem> problems, again;
    const auto policy = Policy::load(text, "f.json", problems);
    same((policy != nullptr) == problems.empty(), "loaded with problems, or not without");
    check_problems(text, problems, "policy");
    bool loads_again = Policy::load(text, "f.json", again) != nullptr;
#ifdef CANARY
    if (text.find("\"regex\"") != text.npos) loads_again = !loads_again;
#endif
    same(loads_again == (policy != nullptr) && again.size() == problems.size(), "loading again says something else");
    if (policy == nullptr) return 0;
    same(!nlohmann::json::parse(text, nullptr, false).is_discarded(), "loaded what is no JSON");
    check_policy(*policy);
    return 0;
}
