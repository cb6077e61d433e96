// callgate check FILE…: policies, and grants.json
#include <cstdio>

#include "audit/safe_text.h"
#include "cli.h"
#include "policy/dialect.h"
#include "policy/grant_loader.h"
#include "policy/policy.h"
#include "policy/policy_file.h"

namespace callgate {
namespace {

// "default deny, 15 tools, 3 hidden", of a file that loads.
std::string summary(const std::string& text, const std::string& path) {
    ProblemList none;
    const std::optional<JsonValue> policy = read_policy_tree(text, path, none);
    const JsonValue* tools = policy->find("tools");
    const JsonValue* hide = policy->find("hide");
    bool hides_all = false;
    for (size_t i = 0; hide && i < hide->items.size(); ++i) hides_all = hides_all || hide->items[i].string == "*";
    return "default " + policy->find("default")->string + ", " + std::to_string(tools ? tools->items.size() : 0) + " tools, " +
           (hides_all ? "all hidden" : std::to_string(hide ? hide->items.size() : 0) + " hidden");
}

bool check_grants(const std::string& path, const std::string& text, std::vector<PolicyProblem>& problems) {
    const std::shared_ptr<const GrantTable> table = GrantTable::load(text, path, problems);
    for (const PolicyProblem& problem : problems) printf("%s\n", terminal_text(problem.text()).c_str());
    if (table == nullptr || !problems.empty()) return false;
    printf("%s: ok (%zu grants, %s)\n", terminal_text(path).c_str(), table->grants().size(),
           table->denies_others() ? "others are denied" : "others have the default grant");
    return true;
}

// What `run` would say of the file itself, and of what is in it.
bool check_one(const std::string& path) {
    const PolicyFile file = read_policy_file(path);
    std::vector<PolicyProblem> problems;
    if (!file.problem.empty()) problems.push_back({path, 0, 0, "", file.problem});
    if (file.text && is_grants_file(path, *file.text)) return check_grants(path, *file.text, problems);
    std::shared_ptr<const Policy> policy;
    if (file.text) policy = Policy::load(*file.text, path, problems);
    for (const PolicyProblem& problem : problems) printf("%s\n", terminal_text(problem.text()).c_str());
    if (policy == nullptr && problems.empty()) print_error(path + ": no policy; is the file empty?");
    if (policy == nullptr || !problems.empty()) return false;
    printf("%s: ok (%s)\n", terminal_text(path).c_str(), summary(*file.text, path).c_str());
    return true;
}

}  // namespace

int check_policies(const std::vector<std::string>& files) {
    int exit_code = kExitDone;
    for (const std::string& file : files) {
        if (!check_one(file)) exit_code = kExitNo;
    }
    return exit_code;
}

}  // namespace callgate
