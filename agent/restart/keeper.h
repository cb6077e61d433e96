// The keeper: what systemd is to the agent where there is no systemd. A small process that starts the agent,
// keeps the descriptors that the agent gives it (carrier.h), and starts another agent when that one ends.
//
//   callgate keep -- run --config /etc/callgate
//
//   the agent exits 0 and has left a parcel      planned: the next starts at once, of the binary that is there
//   … 0 and has left none                        stopped: the keeper ends, with 0
//   … 2, 77, 78                                  it cannot run: the keeper ends with that
//   it ends otherwise in a stop                  the next starts at once, and is stopped: it gives back what is left
//   it ends otherwise, or says nothing of its    the next starts at once; after 0.25, 0.5, 1 … 30 s where the last
//   watchdog's for kWatchdog, and is killed      one was not ready before it ended
//
// A keeper that is stopped in such a pause starts the next at once where something is left, and ends where nothing is.
// Where the binary cannot be started, or has been so twice in vain, the one that the keeper itself runs is. What is kept goes
// after kStartsMax agents in a row that were not ready; the last of them has handed sessions back or ended them by then.
#pragma once
#include <string>
#include <vector>

namespace callgate {

// `arguments`: "run", … ; returns the exit code.
int run_keeper(const std::vector<std::string>& arguments);

}  // namespace callgate
