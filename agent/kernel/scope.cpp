#include "kernel/scope.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unordered_map>

#include "base/fd.h"
#include "kernel/proc.h"

namespace callgate {
namespace {

// In /proc/PID/cgroup: "0::/system.slice/x.service", or of v1 "4:cpu,cpuacct:/x".
bool lists(const std::string& controllers, const std::string& wanted) {
    return wanted.empty() ? controllers.empty() : ("," + controllers + ",").find("," + wanted + ",") != std::string::npos;
}

bool is_below(const std::string& path, const std::string& directory) {
    std::string prefix = directory;
    while (prefix.size() > 1 && prefix.back() == '/') prefix.pop_back();
    return path == prefix || path.rfind(prefix + "/", 0) == 0;
}

// The kernel's programs go by what a path leads to, the paths of processes have neither links nor "..".
std::vector<std::string> without_links(std::vector<std::string> paths) {
    for (std::string& path : paths) {
        std::error_code error;
        const std::filesystem::path real = std::filesystem::weakly_canonical(path, error);
        if (!error) path = real.string();
    }
    return paths;
}

}  // namespace

Status enter_cgroups_of_host() {
    if (!cgroup_path(1, {}).starts_with("/..")) return {};
    constexpr const char* kOfFirstProcess = "/proc/1/ns/cgroup";
    const Fd space = Fd::adopt(open(kOfFirstProcess, O_RDONLY | O_CLOEXEC));
    if (!space) return Error::system("open", kOfFirstProcess, errno);
    if (setns(space.get(), CLONE_NEWCGROUP)) return Error::system("setns", kOfFirstProcess, errno);
    return {};
}

std::string cgroup2_mount() { return cgroup_mount({}); }

std::string cgroup_mount(const std::string& controller) {
    std::ifstream mounts("/proc/self/mounts");
    std::string device, directory, type, options, rest;
    while (mounts >> device >> directory >> type >> options && std::getline(mounts, rest))
        if (controller.empty() ? type == "cgroup2" : type == "cgroup" && lists(options, controller)) return directory;
    return {};
}

bool has_cgroup1_controllers() {
    std::ifstream mounts("/proc/self/mounts");
    std::string device, directory, type, options, rest;
    while (mounts >> device >> directory >> type >> options && std::getline(mounts, rest))
        if (type == "cgroup" && options.find("name=") == std::string::npos) return true;
    return false;
}

std::string cgroup_path(pid_t pid, const std::string& controller) {
    auto text = read_small_file(proc_path(pid, "cgroup"));
    std::istringstream lines(text ? *text : std::string());
    std::string number, controllers, path;
    while (std::getline(lines, number, ':') && std::getline(lines, controllers, ':') && std::getline(lines, path))
        if (lists(controllers, controller)) return path;
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
    const std::string mount = scope.cgroups.empty() ? std::string() : cgroup2_mount();
    const std::vector<std::string> cgroups = without_links(scope.cgroups);
    for (pid_t pid : all_processes()) {
        if (pid == getpid()) continue;
        if (!scope.users.empty()) {
            auto uid = static_cast<uid_t>(status_value(pid, "Uid"));
            if (std::find(scope.users.begin(), scope.users.end(), uid) == scope.users.end()) continue;
        }
        bool anywhere = scope.trees.empty() && scope.cgroups.empty();
        bool in_cgroup = false;
        if (!scope.cgroups.empty()) {
            const std::string directory = mount + cgroup_path(pid, {});
            for (const std::string& cgroup : cgroups) in_cgroup |= is_below(directory, cgroup);
        }
        if (anywhere || in_cgroup || in_trees.count(pid)) found.push_back(pid);
    }
    return found;
}

}  // namespace callgate
