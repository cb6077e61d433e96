// callgate test FILE…: a policy's own tests.
#include "cli.h"

#include <unistd.h>

#include <cstdio>

#include "audit/safe_text.h"
#include "base/counted.h"
#include "policy/policy_file.h"
#include "policy/policy_name.h"
#include "policy/policy_test_file.h"

namespace callgate {
namespace {

// policies/x.json, policies/x.yaml and policies/x.test.json name the same tests.
std::string test_path(const std::string& path) {
    const std::string_view stem = policy_stem(path);
    if (path.ends_with(kPolicyTestExtension) || stem == path) return path;
    return std::string(stem).append(kPolicyTestExtension);
}

std::string policy_path(const std::string& tests, const std::string& said) {
    const size_t slash = tests.rfind('/');
    const std::string directory = slash == tests.npos ? "" : tests.substr(0, slash + 1);
    if (!said.empty()) return said.front() == '/' ? said : directory + said;
    const std::string stem = tests.substr(0, tests.size() - std::min(tests.size(), kPolicyTestExtension.size()));
    for (std::string_view extension : kPolicyExtensions) {
        std::string path = stem + std::string(extension);
        if (access(path.c_str(), F_OK) == 0) return path;
    }
    return stem + std::string(kPolicyExtensions.front());
}

int test_one(const std::string& path) {
    const PolicyFile file = read_policy_file(path);
    if (!file.text) {
        print_error(path + ": " + file.problem);
        return kExitConfig;
    }
    std::vector<PolicyProblem> problems;
    const PolicyTestFile tests = PolicyTestFile::parse(*file.text, path, problems);
    for (const PolicyProblem& problem : problems) fprintf(stderr, "%s\n", terminal_text(problem.text()).c_str());
    if (!problems.empty()) return kExitConfig;
    const std::shared_ptr<const Policy> policy = load_policy_file(policy_path(path, tests.policy));
    if (policy == nullptr) return kExitConfig;
    size_t failed = 0;
    for (const PolicyCase& test : tests.cases) {
        const std::string wrong = run_case(test, *policy);
        if (wrong.empty()) continue;
        ++failed;
        PolicyProblem problem = test.place;
        problem.message = "\"" + test.name + "\": " + wrong;
        printf("%s\n", terminal_text(problem.text()).c_str());
    }
    if (failed > 0) {
        printf("%s: %zu of %s failed\n", terminal_text(path).c_str(), failed, counted(tests.cases.size(), "case").c_str());
        return kExitNo;
    }
    printf("%s: ok (%s)\n", terminal_text(path).c_str(), counted(tests.cases.size(), "case").c_str());
    return kExitDone;
}

}  // namespace

int test_policies(const std::vector<std::string>& files) {
    int exit_code = kExitDone;
    for (const std::string& file : files) exit_code = std::max(exit_code, test_one(test_path(file)));
    return exit_code;
}

}  // namespace callgate
