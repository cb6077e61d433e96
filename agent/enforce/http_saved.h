// What the parts of HTTP know of a connection and of the sessions that use it, as plain data: for an agent that goes on
// where another one stopped, be it in the middle of an event.
//
//   SavedHttpGate saved = gate.leave();   …another process…   other.restore(saved, sessions)  ->  takes the next byte as the
//   first would have
//
// Heads are their bytes, read again. Times are CLOCK_MONOTONIC or CLOCK_REALTIME of the host, so they hold for both.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "enforce/frame_counts.h"
#include "enforce/gate_state.h"
#include "enforce/http_facts.h"
#include "http/body_reader.h"
#include "http/request_line_finder.h"
#include "http/sse_reader.h"
#include "policy/session_pins.h"

namespace callgate {

// HttpExchange, one that is in hand.
struct SavedHttpExchange {
    uint64_t number = 0;
    uint8_t request = 0, response = 0;
    std::string head;
    BodyReader::Saved body;
    RequestLineFinder::Saved hidden_request;
    std::string raw, text;
    bool governed = false, claims_mcp = false, continue_sent = false, body_decoded = false;
    int refuse_status = 0;
    std::string refuse_reason;
    bool sent = false, canonical = false, has_messages = false, opens_session = false;
    std::string session_end;
    std::string session;  // its id; empty: none
    std::vector<std::string> waiting_ids;
    bool is_array = false;  // its body

    std::string answer_head;  // empty: it has not come
    bool answer_keeps_alive = true;
    BodyReader::Saved answer_body;
    std::string answer_raw, answer_text;
    bool answer_begun = false, chunks_out = false, is_resumable = false;
};

// A body that waits for room in a limit, or for a decision; it is in its exchange.
struct SavedHttpWait {
    int64_t deadline_ns = 0;  // monotonic
    int64_t read_ns = 0;      // realtime
};

// Messages on lines.
struct SavedHttpLines {
    GateState gate;
    std::string session;  // its id
    FrameCounts counts_before;
};

struct SavedHttpGate {
    FrameCounts counts;
    uint64_t passed = 0;
    bool closing = false, client_ended = false, server_ended = false, server_wanted = false, first_message = true;
    std::string waiting, response_waiting;
    std::optional<SavedHttpExchange> exchange;
    std::optional<SavedHttpWait> wait;
    bool streams_session = false;  // its session's answers go here
    SseReader::Saved sse;
    bool inside_event = false;
    std::string events_waiting;

    uint8_t passage = 0;
    std::string passage_reason, blind_held, tunnel_head;
    bool tunnel_is_watched = false, tunnel_line_begins = false;
    RequestLineFinder::Saved tunnel_request;
    uint64_t tunnel_version_bytes = 0;
    std::optional<SavedHttpLines> lines;
};

struct SavedHttpSession {
    std::string id, policy, key;
    uint8_t kind = 0;
    HttpFacts facts;
    std::string client_name, client_version, grant, path;
    std::vector<std::pair<std::string, std::string>> annotations;  // by tool
    SessionPins::Saved pins;
    int64_t opened_ns = 0;  // realtime
    int64_t used_ns = 0;    // monotonic
    bool orphaned = false, ended = false;
    FrameCounts counts;
    std::vector<PendingState> pending;
};

struct SavedHttpSessions {
    std::vector<SavedHttpSession> sessions;                   // unused longest first
    std::vector<std::pair<std::string, int64_t>> paths_left;  // of streams that are over, and since when
    uint64_t opened = 0, exchanges = 0;
};

}  // namespace callgate
