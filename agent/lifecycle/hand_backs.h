// Gives sessions back to their servers, to every process that holds a replacement by now. Blocks for about a millisecond for
// each.
#pragma once
#include <functional>
#include <vector>

#include "lifecycle/watcher.h"

namespace callgate {

// `given`: before the job's own `done`, where nothing went wrong; `lives_on`: some process had it. `while_waiting` may be empty.
void give_back(std::vector<HandBackJob> jobs, const WhileWaiting& while_waiting,
               const std::function<void(const HandBackJob& job, bool lives_on)>& given);

}  // namespace callgate
