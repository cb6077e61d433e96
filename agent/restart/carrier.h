// Carrier: who keeps the sessions while no agent runs, seen from the agent. sd_notify(3) and
// sd_listen_fds(3), whether it is systemd (FileDescriptorStoreMax= in the unit) or `callgate keep`, which
// speaks the same.
//
//   the agent that goes    keep(parcel)  ──► FDSTORE=1, FDNAME=callgate, FDPOLL=0, then waits until that was
//   read the agent that comes   take()        ◄── LISTEN_FDS, LISTEN_FDNAMES;  forget() ──► FDSTOREREMOVE=1
//
// Beside it the store has the vault of the live sessions (vault.h) from the first agent on, for the case that
// one does not end as planned.
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
    // The two ends of a vault; both invalid where there is none. Once.
    Fd take_vault_reading() { return std::move(vault_reading_); }
    Fd take_vault_writing() { return std::move(vault_writing_); }
    Status keep_vault(const Fd& reading, const Fd& writing) const;
    // A KeptMemory; invalid where there is none. Once.
    Fd take_memory() { return std::move(memory_); }
    Status keep_memory(const Fd& memory) const;
    void forget_memory() const;
    // From now on nobody keeps anything.
    void give_up() { kind_ = Kind::none; }
    // Somebody has left something: sessions may wait for this process.
    bool has_left() const { return left_.valid() || vault_reading_.valid(); }

  private:
    explicit Carrier(Kind kind) : kind_(kind) {}
    Kind kind_;
    Fd left_, vault_reading_, vault_writing_, memory_;
};

// Names in the store: of what is left at a planned restart, of the vault, and of the memory beside it.
inline constexpr char kStoreName[] = "callgate";
inline constexpr char kVaultReadingName[] = "callgate-vault", kVaultWritingName[] = "callgate-vault-in";
inline constexpr char kMemoryName[] = "callgate-memory";
// The start that follows so many in vain, less one, decides what becomes of the sessions; systemd's own limit is the same.
inline constexpr int kStartsMax = 5;
// Set by a keeper for the agents that it starts.
inline constexpr char kKeeperVariable[] = "CALLGATE_KEEPER";

}  // namespace callgate
