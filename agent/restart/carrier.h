// Carrier: who keeps the sessions while no agent runs, seen from the agent. sd_notify(3) and
// sd_listen_fds(3), whether it is systemd (FileDescriptorStoreMax= in the unit) or `callgate keep`, which
// speaks the same.
//
//   the agent that goes    keep(parcel)  ──► FDSTORE=1, FDNAME=callgate, FDPOLL=0, then waits until that was
//   read the agent that comes   take()        ◄── LISTEN_FDS, LISTEN_FDNAMES;  forget() ──► FDSTOREREMOVE=1
#pragma once
#include "base/fd.h"
#include "base/result.h"

namespace callgate {

class Carrier {
  public:
    enum class Kind { none, keeper, systemd };
    // Takes the descriptors that this process was started with, and their variables out of the environment.
    // Once.
    static Carrier from_environment();

    Kind kind() const { return kind_; }
    // What the agent before has left; invalid where it left nothing. Once.
    Fd take() { return std::move(left_); }
    // After take(), whether there was anything or not.
    void forget() const;
    // Returns when it is kept. An error where nobody keeps anything, or does not answer.
    Status keep(const Fd& parcel) const;

  private:
    Carrier(Kind kind, Fd left) : kind_(kind), left_(std::move(left)) {}
    Kind kind_;
    Fd left_;
};

// Name of the one entry in the store.
inline constexpr char kStoreName[] = "callgate";
// Set by a keeper for the agents that it starts.
inline constexpr char kKeeperVariable[] = "CALLGATE_KEEPER";

}  // namespace callgate
