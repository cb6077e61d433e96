// SessionState: one governed session on stdio, or on the lines of an AF_UNIX connection, between two agents.
//
//   to_json() holds everything but the descriptors; those are beside it, in this order, without the absent
//   ones: the client's bytes come from, the server's go to, the server's come from, the client's go to
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "enforce/relay_session.h"
#include "restart/parcel.h"

namespace callgate {

// What the watcher of the kernel's events knows of it.
struct WatchedSession {
    std::string id;
    std::vector<pid_t> pids;  // hold the replacement
    cg_channel_key input{}, output{}, new_input{}, new_output{};
    bool operator==(const WatchedSession&) const = default;
};

struct SessionState {
    std::string id, started, policy, remark;
    Fail fail = Fail::closed;  // where its policy is not to be had
    ServerIdentity server;
    PeerIdentity client;
    WatchedSession watched;
    RelayState relay;
};

// "session", its state in a memfd, and its descriptors.
inline constexpr char kSessionLabel[] = "session";
// The session keeps its own descriptors: the bundle has duplicates.
Result<Bundle> to_bundle(const SessionState& session);
Result<SessionState> session_of(Bundle bundle);

// The form of a gate's state in a ledger.
SessionLedger::Form ledger_form();

nlohmann::json counts_state(const FrameCounts& counts);
FrameCounts counts_of(const nlohmann::json& object);  // throws json::exception
nlohmann::json to_json(const SessionState& session);
// Without descriptors. No exception leaves it: what is absent has its default, what is of the wrong kind is
// an error.
Result<SessionState> session_from(const nlohmann::json& state);

}  // namespace callgate
