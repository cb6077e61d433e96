// BegunTakeover: a take-over that is under way, in the vault: from before the first descriptor of the server
// is replaced until the session is in the vault itself. Where the agent is killed in between, the next one
// undoes it, or goes on with it.
//
//   descriptors   of TakenEnds, in the order of session_state.h      ►  one_socket: four as well
//   state         a memfd (state_blob.h) with the rest
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "restart/session_state.h"
#include "restart/vault.h"

namespace callgate {

struct BegunTakeover {
    std::string id, policy, remark;  // of the session that is to be
    Fail fail = Fail::closed;
    bool certain = false;
    Opening::Start start = Opening::Start::fresh;
    pid_t pid = 0;
    uint64_t start_time = 0;  // of the process, in clock ticks
    std::vector<int> made;    // see TakeoverRequest::begins
    TakenEnds ends;
};

inline constexpr char kBegunLabel[] = "begun";
// The descriptors stay the caller's: `begun.ends` is not used.
Result<Bundle> to_bundle(const BegunTakeover& begun, const TakenEnds& ends);
Result<BegunTakeover> begun_of(Bundle bundle);

// What becomes of one, in another process. Error: it could not be brought about, or (ErrorKind::gone) the
// process has ended.
enum class Settled {
    undone,      // the server is as it was
    taken_over,  // and what it had read is in `ends.unread`
};
Result<Settled> settle(const BegunTakeover& begun);

}  // namespace callgate
