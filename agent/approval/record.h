// ApprovalRecord: one request for approval: what was to be called, by whom, and what a human said of it.
//
//   pending ──approve──► approved ──use──► approved, used 1: done with (but in the dedupe window: still good)
//      │  └───deny─────► denied            an approval that is still good can be denied, too
//      │                    └──revoke──► revoked: as if nobody had decided, the call is asked for anew. Of an approval likewise
//      └── expires_ns ──► gone, from each state
#pragma once
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "policy/verdict.h"

namespace callgate {

enum class ApprovalState : uint8_t { pending, approved, denied, revoked };

// Who asked over the control socket, as the kernel says. Numbers are -1 where they are not known.
struct ApprovalDecider {
    int64_t uid = -1, login_uid = -1;  // login: who logged in, whatever sudo(8) made of him
    std::string user, login;
};

struct ApprovalRecord {
    ApprovalId id;
    std::array<char, 32> fingerprint{};
    std::string policy, revision, method, tool, grant, session;
    std::string server, server_process, client, client_claim;  // for whoever decides: parties.h
    int64_t uid = -1;                                          // of the client; -1: no process of this host
    std::string arguments;                                     // as they were sent
    std::string other_params;                                  // what else the approval is for: fingerprint.h
    std::string rule, reason;
    std::string webhook_url;
    int64_t requested_ns = 0, expires_ns = 0, dedupe_ns = 0;  // realtime; dedupe: of time

    ApprovalState state = ApprovalState::pending;
    int64_t decided_ns = 0;
    ApprovalDecider by;
    std::string decision_reason;
    int64_t used = 0, used_ns = 0;  // times; the last of them
    std::string used_turn;          // in which (policy/counter_turns.h)
    int64_t used_in_turn = 0;       // times

    std::string cause;     // of its end, where that is not its time
    bool taken = false;    // by a call that is being judged
    std::string wait_key;  // line of the calls that wait for the decision

    bool is_decided() const { return state == ApprovalState::approved || state == ApprovalState::denied; }
    bool in_window(int64_t now_ns) const { return is_decided() && now_ns < decided_ns + dedupe_ns; }
    // One more call may go on with it.
    bool is_good(int64_t now_ns) const { return state == ApprovalState::approved && (used == 0 || in_window(now_ns)); }
    // Says nothing any more of a call that comes now.
    bool is_spent(int64_t now_ns) const {
        return state == ApprovalState::revoked || (state == ApprovalState::approved && !is_good(now_ns));
    }
    bool can_become(ApprovalState decision, int64_t now_ns) const {
        switch (decision) {
            case ApprovalState::pending: return false;
            case ApprovalState::approved: return state == ApprovalState::pending;
            case ApprovalState::denied: return state == ApprovalState::pending || is_good(now_ns);
            case ApprovalState::revoked: return state == ApprovalState::denied || is_good(now_ns);
        }
        return false;
    }
    int64_t gone_ns() const {
        return state == ApprovalState::pending ? expires_ns : std::max(expires_ns, decided_ns + dedupe_ns);
    }
    int64_t done_ns() const { return std::max(decided_ns, used_ns); }
    // The clock was.
    void set_back(int64_t by_ns) {
        for (int64_t* time : {&requested_ns, &expires_ns, &decided_ns, &used_ns}) {
            if (*time != 0) *time -= by_ns;
        }
    }
};

// "pending", "approved", "denied", "revoked", "used".
inline std::string_view state_name(const ApprovalRecord& record) {
    switch (record.state) {
        case ApprovalState::pending: return "pending";
        case ApprovalState::approved: return record.used > 0 ? "used" : "approved";
        case ApprovalState::denied: return "denied";
        case ApprovalState::revoked: return "revoked";
    }
    return "";
}

}  // namespace callgate
