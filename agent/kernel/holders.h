// Which processes have a pipe or socket, found through the descriptors of all of them (proc(5)). Takes some milliseconds.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace callgate {

// For a whole batch at once: holders_of({71, 72}) is {71: {1200, 1201}} where nobody has 72. The agent is left out.
std::unordered_map<uint64_t, std::vector<pid_t>> holders_of(const std::unordered_set<uint64_t>& inodes);

}  // namespace callgate
