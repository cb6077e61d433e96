// KeptSession: a live session in the vault: its ledger and its open descriptors, so that the next agent goes
// on with it when this one is killed.
//
//   keep(vault, relay, …)  ->  the relay is on a ledger, and in the vault;  take(found)  ->  the same
//   session, in another process
#pragma once
#include <memory>

#include "restart/session_state.h"
#include "restart/vault.h"

namespace callgate {

class KeptSession {
  public:
    // Before the relay starts. An error leaves it as it was: without a ledger.
    static Result<std::unique_ptr<KeptSession>> keep(Vault& vault, RelaySession& relay, const SessionState& facts);
    // What `found` is, with its ledger in `state.relay`. An error: it cannot be gone on with, and `found`
    // still has it.
    static Result<std::unique_ptr<KeptSession>> take(Vault::Found& found, SessionState& state);

    // The relay has closed a descriptor: nobody may hold it any more.
    void ends_changed(const RelaySession& relay);
    // Another process has joined, or another policy is in force.
    void write_facts(RelaySession& relay, const SessionState& facts);

  private:
    explicit KeptSession(std::shared_ptr<Vault::Entry> entry) : entry_(std::move(entry)) {}
    std::shared_ptr<Vault::Entry> entry_;
};

// Begins the label of a bundle in the vault; which of the four ends are in it follows, as "1" or "0" each.
inline constexpr char kKeptLabel[] = "live ";

}  // namespace callgate
