#include "enforce/session_ledger.h"

#include <algorithm>
#include <cstring>

#include "enforce/pending_notes.h"

namespace callgate {
namespace {

// Of the ledger, where the state has pins.
constexpr uint32_t kFormatOfPins = 2;

}  // namespace

bool SessionLedger::commit(Gate& gate, Outbox& to_server, Outbox& to_client, std::string_view effects, bool goes_back) {
    const bool notes_suffice = gate.take_notes(notes_);
    const bool is_current = has_snapshot_ && notes_suffice && slow_changes_ == gate.slow_changes();
    const bool has_bytes = !ledger_->unseen(Ledger::kToServer).empty() || !ledger_->unseen(Ledger::kToClient).empty();
    const bool is_decided = goes_back && !ledger_->goes_back();
    if (is_current && !is_decided && !has_bytes && notes_.empty() && effects.empty() && to_server.empty() && to_client.empty())
        return true;
    Ledger::Turn turn;
    turn.line_begun = {gate.client_line_bytes(), gate.server_line_bytes()};
    turn.output = {&to_server, &to_client};
    turn.goes_back = goes_back;
    turn.effects = effects;
    const GateFigures figures = gate.figures();
    turn.state = {reinterpret_cast<const char*>(&figures), sizeof(figures)};
    std::string snapshot;
    if (!is_current || ledger_->notes_are_long(notes_.size(), snapshot_bytes())) {
        GateState state = gate.save();
        // They stand beside it.
        state.counts = {};
        state.client_rest.clear();
        state.server_rest.clear();
        turn.format = state.pins.empty() ? 1 : kFormatOfPins;
        const std::string text = form_.write(state);
        const auto length = static_cast<uint32_t>(text.size());
        snapshot.append(reinterpret_cast<const char*>(&length), sizeof(length));
        snapshot += text;
        turn.notes_replace = true;
        turn.notes = snapshot;
    } else {
        turn.notes = notes_;
    }
    if (!ledger_->commit(turn)) return false;
    has_snapshot_ = true;
    slow_changes_ = gate.slow_changes();
    notes_.clear();
    to_server.clear();
    to_client.clear();
    return true;
}

void SessionLedger::go_on_with(const Gate& gate) {
    has_snapshot_ = true;
    slow_changes_ = gate.slow_changes();
}

size_t SessionLedger::snapshot_bytes() const {
    const std::string_view notes = ledger_->notes();
    uint32_t length = 0;
    if (notes.size() < sizeof(length)) return 0;
    memcpy(&length, notes.data(), sizeof(length));
    return std::min(sizeof(length) + length, notes.size());
}

Result<GateState> SessionLedger::gate_state() const {
    const std::string_view notes = ledger_->notes(), bytes = ledger_->state();
    uint32_t length = 0;
    GateFigures figures;
    if (notes.size() < sizeof(length) || bytes.size() != sizeof(figures))
        return Error::invalid("ledger of a session", "has no state of the gate");
    memcpy(&length, notes.data(), sizeof(length));
    memcpy(&figures, bytes.data(), sizeof(figures));
    if (length > notes.size() - sizeof(length)) return Error::invalid("ledger of a session", "was cut off");
    GateState state = TRY(form_.read(notes.substr(sizeof(length), length)));
    TRY_VOID(apply_notes(notes.substr(sizeof(length) + length), state.pending));
    state.counts = figures.counts;
    state.records = figures.records;
    state.client_skipped = figures.client_skipped;
    state.server_line_open = figures.server_line_open != 0;
    state.server_spoke = figures.server_spoke != 0;
    state.wants_release = figures.wants_release != 0;
    state.modern = figures.modern != 0;
    state.client_rest = ledger_->line_begun(Ledger::kToServer);
    state.server_rest = ledger_->line_begun(Ledger::kToClient);
    return state;
}

}  // namespace callgate
