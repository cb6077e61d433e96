// The daemon: start-up steps in order, teardown steps that all always run.
#pragma once
#include <string>
#include <vector>

namespace callgate {

struct RunOptions {
    std::string config_directory = "/etc/callgate";  // holds callgate.json and policies.d/
    std::vector<int> scope_trees;                    // process ids: they and all their descendants
    std::vector<std::string> scope_cgroups;          // cgroup v2 directories
    std::string audit_file;                          // empty: what callgate.json says
    std::string control_socket;                      // empty: what callgate.json says
    std::string state_directory;                     // empty: what callgate.json says
    bool verbose = false;
};

// Exit codes of the program (sysexits.h where one fits): 0 done, 1 the answer is no or a check failed, 2 wrong usage,
// 69 the agent is not running, 70 internal error, 75 too many agents in a row were not ready (as a service of systemd), 77 not
// permitted, 78 bad configuration.
int run_agent(const RunOptions& options);
// Keeps servers out that would not be governed; returns when an agent answers.
int run_guard(const RunOptions& options);

}  // namespace callgate
