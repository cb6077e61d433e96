#include "kernel/scope.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <unordered_map>

#include "kernel/proc.h"

namespace callgate {
namespace {

std::string cgroup_directory_of(pid_t pid, const std::string& mount) {
    auto text = read_small_file(proc_path(pid, "cgroup"));
    if (!text) return {};
    size_t at = text->rfind("0::", 0) == 0 ? 0 : text->find("\n0::");
    if (at == std::string::npos) return {};
    at = text->find("::", at) + 2;
    return mount + text->substr(at, text->find('\n', at) - at);
}

bool is_below(const std::string& path, const std::string& directory) {
    std::string prefix = directory;
    while (prefix.size() > 1 && prefix.back() == '/') prefix.pop_back();
    return path == prefix || path.rfind(prefix + "/", 0) == 0;
}

}  // namespace

std::string cgroup2_mount() {
    std::ifstream mounts("/proc/self/mounts");
    std::string device, directory, type, rest;
    while (mounts >> device >> directory >> type && std::getline(mounts, rest))
        if (type == "cgroup2") return directory;
    return {};
}

std::unordered_set<pid_t> descendants_of(const std::vector<pid_t>& roots) {
    std::unordered_map<pid_t, std::vector<pid_t>> children;
    for (pid_t pid : all_processes()) children[parent_of(pid)].push_back(pid);
    std::unordered_set<pid_t> found;
    std::vector<pid_t> open(roots);
    while (!open.empty()) {
        pid_t pid = open.back();
        open.pop_back();
        if (!found.insert(pid).second) continue;
        for (pid_t child : children[pid]) open.push_back(child);
    }
    return found;
}

std::vector<pid_t> processes_in_scope(const Scope& scope) {
    std::vector<pid_t> found;
    std::unordered_set<pid_t> in_trees = descendants_of(scope.trees);
    std::string mount = scope.cgroups.empty() ? std::string() : cgroup2_mount();
    for (pid_t pid : all_processes()) {
        if (pid == getpid()) continue;
        if (!scope.users.empty()) {
            auto uid = static_cast<uid_t>(status_value(pid, "Uid"));
            if (std::find(scope.users.begin(), scope.users.end(), uid) == scope.users.end()) continue;
        }
        bool anywhere = scope.trees.empty() && scope.cgroups.empty();
        bool in_cgroup = false;
        if (!scope.cgroups.empty()) {
            std::string directory = cgroup_directory_of(pid, mount);
            for (const std::string& cgroup : scope.cgroups) in_cgroup |= is_below(directory, cgroup);
        }
        if (anywhere || in_cgroup || in_trees.count(pid)) found.push_back(pid);
    }
    return found;
}

}  // namespace callgate
