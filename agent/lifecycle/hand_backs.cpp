#include "lifecycle/hand_backs.h"

#include <algorithm>
#include <unordered_set>

#include "kernel/holders.h"

namespace callgate {

void give_back(std::vector<HandBackJob> jobs, const WhileWaiting& while_waiting,
               const std::function<void(const HandBackJob&, bool)>& given) {
    std::unordered_set<uint64_t> inodes;
    for (const HandBackJob& job : jobs) {
        inodes.insert(job.back.new_input.inode);
        inodes.insert(job.back.new_output.inode);
    }
    auto holders = holders_of(inodes);
    for (HandBackJob& job : jobs) {
        std::vector<pid_t> pids = holders[job.back.new_input.inode];
        for (pid_t pid : holders[job.back.new_output.inode])
            if (std::find(pids.begin(), pids.end(), pid) == pids.end()) pids.push_back(pid);
        std::string problem;
        bool lives_on = false;
        for (pid_t pid : pids) {
            Status back = hand_back(pid, job.back, while_waiting);
            lives_on |= static_cast<bool>(back);
            if (!back && back.error().kind != ErrorKind::gone) problem = back.error().text();
        }
        if (problem.empty()) given(job, lives_on);
        job.done(std::move(problem));
    }
}

}  // namespace callgate
