// callgate check FILE…: policies, and grants.json
#include <cstdio>

#include "audit/safe_text.h"
#include "cli.h"
#include "policy/grant_loader.h"
#include "policy/policy.h"
#include "policy/policy_file.h"

namespace callgate {
namespace {

using nlohmann::json;

// "default deny, 15 tools, 3 hidden", of a file that loads.
std::string summary(const std::string& text) {
    const json policy = json::parse(text, nullptr, false);
    const json& tools = member(policy, "tools");
    const json& hide = member(policy, "hide");
    std::string line = "default " + shown(member(policy, "default")) + ", " +
                       std::to_string(tools.is_object() ? tools.size() : 0) + " tools, ";
    bool hides_all = hide == "*";
    for (const json& name : hide.is_array() ? hide : json::array()) hides_all = hides_all || name == "*";
    line += hides_all ? "all hidden" : std::to_string(hide.is_array() ? hide.size() : 0) + " hidden";
    return line;
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
    printf("%s: ok (%s)\n", terminal_text(path).c_str(), summary(*file.text).c_str());
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
