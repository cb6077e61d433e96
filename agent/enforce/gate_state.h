// GateState: what a gate knows of its session, as plain data: for an agent that goes on where another one
// stopped.
//
//   GateState state = gate.save();   …another process…   other_gate.restore(state)  ->  judges the next byte
//   as the first would have
//
// Times are CLOCK_MONOTONIC or CLOCK_REALTIME of the host, so they hold for both.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "enforce/frame_counts.h"
#include "policy/counters.h"
#include "policy/session_pins.h"

namespace callgate {

struct OpeningState {
    uint32_t phase = 0;  // Opening::State
    bool certain = true, tail_open = false;
    std::string foreign_id, held, line_passed;
};

// A request that the server has not answered.
struct PendingState {
    std::string id_key, record, method, tool;
    int64_t forwarded_ns = 0;  // monotonic
    bool shares_id = false;
    std::vector<KeptUse> charged;
    uint64_t exchange = 0;  // HTTP: PendingRequest
};

// A call that waits: nothing but its frame, which is judged anew.
struct HeldState {
    std::string line;
    int64_t read_ns = 0;      // realtime
    int64_t deadline_ns = 0;  // monotonic
};

struct GateState {
    FrameCounts counts;
    uint32_t records = 0;  // audit records of messages so far
    OpeningState opening;
    std::string client_rest, server_rest;             // lines that have begun
    uint64_t client_skipped = 0, server_skipped = 0;  // > 0: inside a line that was refused as too long; bytes of it so far
    std::string answers_waiting, server_head;
    bool server_line_open = false, server_spoke = false, wants_release = false, modern = false;
    std::string client_name, client_version;
    std::vector<std::pair<std::string, std::string>> annotations;  // by tool
    SessionPins::Saved pins;
    std::vector<PendingState> pending;
    std::vector<HeldState> held;
};

// The part of it that changes with every message, as it lies in a ledger: whoever changes this changes its format.
struct GateFigures {
    FrameCounts counts;
    uint64_t client_skipped = 0;
    uint8_t server_line_open = 0, server_spoke = 0, wants_release = 0, modern = 0;
    uint32_t records = 0;
};
static_assert(sizeof(GateFigures) == 15 * sizeof(uint64_t));

}  // namespace callgate
