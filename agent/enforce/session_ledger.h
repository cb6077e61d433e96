// SessionLedger: one session on its Ledger: after each turn, what its gate has come to is committed together
// with the bytes, so that another process, after this one has been killed, judges the next byte as this one
// would have.
//
//   state   GateFigures           notes   a snapshot of the gate's state, and notes of requests since
//   (pending_notes.h)
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "enforce/gate.h"
#include "io/ledger.h"

namespace callgate {

class SessionLedger {
  public:
    // How a state becomes bytes, and they a state.
    struct Form {
        std::function<std::string(const GateState&)> write;
        std::function<Result<GateState>(std::string_view)> read;
    };
    SessionLedger(std::unique_ptr<Ledger> ledger, Form form) : ledger_(std::move(ledger)), form_(std::move(form)) {}

    Ledger& bytes() { return *ledger_; }
    // False where there is no room: nothing was committed. Else what was to be written is the ledger's. `goes_back`: see
    // Ledger::Turn.
    // `effects`: of the turn, on what is kept elsewhere.
    bool commit(Gate& gate, Outbox& to_server, Outbox& to_client, std::string_view effects, bool goes_back = false);
    // What the last commit said; the lines that have begun included, what is unseen not.
    Result<GateState> gate_state() const;
    // `gate` has been restored from that: the next commit adds to what is here.
    void go_on_with(const Gate& gate);

  private:
    size_t snapshot_bytes() const;  // of the notes

    std::unique_ptr<Ledger> ledger_;
    Form form_;
    bool has_snapshot_ = false;  // of this gate, or of the one that it was restored from
    uint64_t slow_changes_ = 0;
    std::string notes_;
};

}  // namespace callgate
