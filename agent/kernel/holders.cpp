#include "kernel/holders.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "kernel/proc.h"

namespace callgate {

std::unordered_map<uint64_t, std::vector<pid_t>> holders_of(const std::unordered_set<uint64_t>& inodes) {
    std::unordered_map<uint64_t, std::vector<pid_t>> holders;
    for (pid_t pid : all_processes()) {
        if (pid == getpid()) continue;
        std::string directory = proc_path(pid, "fd");
        DIR* listing = opendir(directory.c_str());
        if (!listing) continue;
        while (const dirent* entry = readdir(listing)) {
            char target[64];
            ssize_t length = readlinkat(dirfd(listing), entry->d_name, target, sizeof(target) - 1);
            if (length <= 0) continue;
            target[length] = 0;
            // "anon_inode:[eventfd]" has no number, and would be 0.
            if (strncmp(target, "pipe:[", 6) && strncmp(target, "socket:[", 8)) continue;
            uint64_t inode = strtoull(strchr(target, '[') + 1, nullptr, 10);
            if (!inodes.count(inode)) continue;
            std::vector<pid_t>& known = holders[inode];
            if (known.empty() || known.back() != pid) known.push_back(pid);
        }
        closedir(listing);
    }
    return holders;
}

}  // namespace callgate
