// callgate check FILE…: policies, grants.json, and callgate.json
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "audit/safe_text.h"
#include "base/counted.h"
#include "base/directory.h"
#include "base/trusted_path.h"
#include "cli.h"
#include "lifecycle/config.h"
#include "lifecycle/startable.h"
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
    return "default " + policy->find("default")->string + ", " + counted(tools ? tools->items.size() : 0, "tool") + ", " +
           (hides_all ? "all hidden" : std::to_string(hide ? hide->items.size() : 0) + " hidden");
}

bool check_grants(const std::string& path, const std::string& text, std::vector<PolicyProblem>& problems) {
    const std::shared_ptr<const GrantTable> table = GrantTable::load(text, path, problems);
    for (const PolicyProblem& problem : problems) printf("%s\n", terminal_text(problem.text()).c_str());
    if (table == nullptr || !problems.empty()) return false;
    printf("%s: ok (%s, %s)\n", terminal_text(path).c_str(), counted(table->grants().size(), "grant").c_str(),
           table->denies_others() ? "others are denied" : "others have the default grant");
    return true;
}

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// The agent's own configuration is known by its name, by which the agent finds it.
bool check_config(const std::string& path) {
    std::vector<PolicyProblem> problems;
    const Result<Config> config = load_config(directory_of(path), problems);
    if (!config) print_error(config.error().text());
    for (const PolicyProblem& problem : problems) printf("%s\n", terminal_text(problem.text()).c_str());
    if (!config || !problems.empty()) return false;
    if (const Status whole = check_paths(config.value()); !whole) {
        printf("%s: %s\n", terminal_text(path).c_str(), terminal_text(whole.error().text()).c_str());
        return false;
    }
    printf("%s: ok (configuration of the agent, no policy)\n", terminal_text(path).c_str());
    return true;
}

bool lies_in_policies_d(const std::string& path) {
    std::error_code error;
    const std::filesystem::path whole = std::filesystem::absolute(path, error);
    return !error && whole.parent_path().filename() == "policies.d";
}

// What the agent leaves out of policies.d; elsewhere it may be a beginning. False where it is a mistake.
bool check_server(const Policy& policy, const std::string& path) {
    if (!policy.match().empty()) return true;
    const bool is_mistake = lies_in_policies_d(path);
    printf("%s: %s/server: names no server, so it governs none; say which: \"server\": {\"package\": \"NAME\"}\n",
           terminal_text(path).c_str(), is_mistake ? "" : "warning: ");
    return !is_mistake;
}

// What `run` would say of the file itself, of where it lies if that is a policies.d, and of what is in it.
bool check_one(const std::string& path) {
    if (file_name(path) == "callgate.json") return check_config(path);
    const PolicyFile file = read_policy_file(path);
    std::vector<PolicyProblem> problems;
    if (!file.problem.empty()) {
        problems.push_back({path, 0, 0, "", file.problem});
    } else if (const Status trusted = lies_in_policies_d(path) ? check_trusted_path(path) : Status(); !trusted) {
        problems.push_back({trusted.error().where, 0, 0, "", trusted.error().what});
    }
    if (file.text && is_grants_file(path, *file.text)) return check_grants(path, *file.text, problems);
    std::shared_ptr<const Policy> policy;
    if (file.text) policy = Policy::load(*file.text, path, problems);
    for (const PolicyProblem& problem : problems) printf("%s\n", terminal_text(problem.text()).c_str());
    if (policy == nullptr && problems.empty()) print_error(path + ": no policy; is the file empty?");
    if (policy == nullptr || !problems.empty() || !check_server(*policy, path)) return false;
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
