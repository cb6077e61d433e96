// Property: a policy in YAML loads, or every problem has a place in it; loading it again says the same. What
// loads can be written in the native dialect, once and for all, and decides the same there.
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "policy/dialect.h"
#include "policy/json_text.h"
#include "policy/native_form.h"
#include "policy_checks.h"

namespace {

using callgate::Policy;
using callgate::PolicyProblem;
using callgate::Verdict;

void same(bool agree, const char* what) { hold(agree, "yaml_policy", what); }

std::string converted(std::string_view text, std::string_view file) {
    callgate::ProblemList none;
    auto tree = callgate::read_policy_tree(text, file, none);
    callgate::to_native_form(*tree);
    return callgate::json_text(*tree);
}

void check_calls(const Policy& policy, const Policy& native) {
    callgate::CounterTable counters, of_native;
    constexpr std::array<std::string_view, 3> kArguments = {R"({"a":1,"l":["a",{"x":2.5}],"text":"ab"})", "{}",
                                                            R"({"a":"1","amount":70000})"};
    for (std::string_view tool : {"a", "b", "a", "create_charge", "h", "other", "a"}) {
        for (std::string_view arguments : kArguments) {
            const Verdict one = policy.judge_tool({tool, arguments}, {"g", "s", "v"}, 0, counters);
            const std::string reason(one.reason);
            const Verdict two = native.judge_tool({tool, arguments}, {"g", "s", "v"}, 0, of_native);
            same(one.action == two.action && one.code == two.code && reason == two.reason,
                 "the native dialect decides otherwise");
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    std::vector<PolicyProblem> problems, again;
    const auto policy = Policy::load(text, "f.yaml", problems);
    same((policy != nullptr) == problems.empty(), "loaded with problems, or not without");
    check_problems(text, problems, "yaml_policy");
    same((Policy::load(text, "f.yaml", again) != nullptr) == (policy != nullptr) && again.size() == problems.size(),
         "loading again says something else");
    if (policy == nullptr) return 0;
    std::string native = converted(text, "f.yaml");
#ifdef CANARY
    // A maximum that is one too large.
    if (const size_t at = native.find("\"max\": 2,"); at != native.npos) native[at + 7] = '3';
#endif
    const auto reloaded = Policy::load(native, "f.json", problems);
    same(reloaded != nullptr, "what is converted does not load");
    same(converted(native, "f.json") == native, "converting again changes it");
    check_calls(*policy, *reloaded);
    return 0;
}
