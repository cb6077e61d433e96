// Gives sessions back to their servers, to every process that holds a replacement by now, those included that are forked
// meanwhile. Blocks for about a millisecond for each, and for some seconds at most where clients do not read.
#pragma once
#include <functional>
#include <vector>

#include "lifecycle/watcher.h"

namespace callgate {

// When all are given back but those that wait for their clients, and for these then, each: `given`, where nothing went wrong
// (`lives_on`: some process had it), then the job's own `done`. Each job has its copy_rest. `while_waiting` may be empty.
void give_back(std::vector<HandBackJob> jobs, const WhileWaiting& while_waiting,
               const std::function<void(const HandBackJob& job, bool lives_on)>& given);

// Of sessions that an agent was giving back when it was killed: lets both sides have what is on its way, for some seconds at
// most, and gives them back. What went wrong with each, empty where nothing did.
std::vector<std::string> finish_giving_back(const std::vector<RelayState*>& sessions);

}  // namespace callgate
