// Messages on lines over TCP, without HTTP: governed as on stdio, each connection a session of its own.
#include "enforce/http_gate_state.h"

namespace callgate {

bool HttpGate::State::begins_message(std::string_view bytes) {
    const size_t start = bytes.find_first_not_of(" \t\r\n");
    return start != bytes.npos && (bytes[start] == '{' || bytes[start] == '[');
}

void HttpGate::State::open_lines() {
    finish_exchange();
    passage = Passage::lines;
    server_wanted = true;
    tunnel_is_watched = judge.enforcing();
    lines_session = sessions.open(facts, options.policy, {});
    counts_before_lines = counts;
    begin_lines();
}

// Of the session that there is.
void HttpGate::State::begin_lines() {
    ++lines_session->exchanges;
    lines_session->stream = &gate;
    GateOptions inner;
    inner.policy = options.policy;
    inner.audit_session = lines_session->audit_session;
    inner.grant = facts->grant;
    inner.grants = &sessions.grants();
    inner.pins = &sessions.pins();
    inner.describe = [this](const std::string& key) {
        lines_session->grant = key;
        lines_session->audit_session = audit.describe(facts->session_facts(lines_session->id, *options.policy, key));
        return lines_session->audit_session;
    };
    inner.session_id = lines_session->id;
    inner.server = facts->server;
    inner.peer = facts->peer;
    inner.certain = false;  // the server may have other ports than the one that is meant
    inner.frame_bytes_max = options.frame_bytes_max;
    inner.approvals = options.approvals;
    lines = std::make_unique<Lines>(std::move(inner), counters, audit);
    lines->gate.on_output = [this] {
        move_lines();
        if (gate.on_output) gate.on_output();
    };
}

void HttpGate::State::take_client_lines(std::string_view bytes) {
    const size_t end = watched_length(bytes);
    lines->gate.client_bytes(bytes.substr(0, end));
    move_lines();
    if (end < bytes.size()) return cut("the client sent a request of HTTP behind what is none");
    release_lines();
}

void HttpGate::State::take_server_lines(std::string_view bytes) {
    lines->gate.server_bytes(bytes);
    move_lines();
    release_lines();
}

// Not in the middle of a line: it may be a call.
void HttpGate::State::release_lines() {
    if (!lines->gate.wants_release() || lines->gate.client_line_open()) return;
    lines->gate.flush_unjudged();
    move_lines();
    end_lines("released: not MCP");
    start_tunnel("not MCP");
}

// What the gate has made goes where the connection is written from.
void HttpGate::State::move_lines() {
    auto move = [](Outbox& from, std::string& to) {
        to.append(from.first()).append(from.second());
        from.clear();
    };
    move(lines->to_server, to_server);
    move(lines->to_client, to_client);
    FrameCounts now = counts_before_lines;
    now += lines->gate.counts();
    now.client_bytes = counts.client_bytes;
    now.server_bytes = counts.server_bytes;
    counts = now;
    lines_session->counts = lines->gate.counts();
}

void HttpGate::State::end_lines(std::string_view reason) {
    if (!lines) return;
    lines->gate.drop_held();
    lines->gate.session_ended();
    move_lines();
    sessions.end(lines_session, reason);
    lines.reset();
}

void HttpGate::State::use_policy_for_lines() {
    lines_session->policy = options.policy;
    lines_session->audit_session = audit.describe(facts->session_facts(lines_session->id, *options.policy, lines->gate.grant()));
    lines->gate.use_policy(options.policy, lines_session->audit_session);
}

}  // namespace callgate
