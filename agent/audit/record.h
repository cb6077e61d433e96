// The audit record: one JSON object per judged message and per session event, one per line.
//
// Message records are made on the data path as a fixed struct plus views; the writer thread turns them into
// JSON. Of arguments their keys are written and a keyed hash (SipHash-2-4-128 under a secret that is made once per
// host), so that equal calls can be told equal without being told. Their values are written only where the
// configuration asks for it ("arguments": "full").
//
// Every record has
// - time: RFC 3339, UTC, nanoseconds: when the message's last byte was read, or when the event happened
// - id: 26 characters that sort by time; unique
// - type: "message", "gap", or an event, such as "session_start", "session_joined", "session_end", "session_blind",
//   "pin_added" (tools, count), "pin_changed" (tool, pinned, now: hashes), "pin_unreadable", "pin_accepted", "pin_reset"
//
// A message has, where there is a value,
// - session, transport, direction ("c2s", "s2c"), kind ("request", "notification", "response", "invalid")
// - method, tool (of tools/call), name (of prompts and others), uri; of a response: those of its request
// - rpc_id: the JSON-RPC id as it was written
// - decision ("allow", "deny", "refuse", "would_deny", "pass"), rule, reason, code, retry_after_ms
// - approval: id of the request that it waits for, or (the first of those) that let it through
// - refusal, refusal_offset: why a frame was refused, and the byte that shows it
// - client_name, client_version: where the message itself says who the client is
// - argument_keys, argument_keys_total (where more than are listed), arguments_hash
// - arguments (of tools/call and prompts/get), params (of all other requests and notifications): the value as it was sent,
//   with the same tokens; unsafe characters are escaped and space between tokens may differ. values_too_long instead: how
//   many bytes it has, where that is more than kAuditValuesBytesMax
// - bytes, queue_ns, judge_ns
// - counters: [{"name","count","max","window_start"}]; calls in flight have no window_start
// - answers: id of the request's record; outcome ("ok", "tool_error", "error"), error_code, latency_ns
// - server: {"package","package_version","command","exe","pid","uid","user","image","listen"}; image where a policy asks for one
// - peer, the client: {"pid","uid","user","exe","cgroup","address","parents":["comm(pid)"]}; where it is no process of this
//   host, only its address
// - grant, policy, policy_revision, mode
//
// A gap has lost (records that are missing here) and cause ("queue full", or the write's error). An event has
// session, the members that belong to it, and then the session's facts.
//
// Strings are cut at kAuditTextBytesMax and escaped as safe_text.h says: a line can be shown on any terminal.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jsonrpc/message.h"
#include "policy/verdict.h"
#include "session/identity.h"

namespace callgate {

// Longest text kept of one member; ids, which are bounded by kIdBytesMax, always fit.
inline constexpr size_t kAuditTextBytesMax = 2048;
// Longest text kept of one argument's key.
inline constexpr size_t kAuditKeyBytesMax = 256;
// Counters listed in one record.
inline constexpr size_t kAuditCountersMax = 16;

enum class Decision : uint8_t { allowed, denied, refused, would_deny, passed };
std::string_view name(Decision decision);  // "allow", "deny", "refuse", "would_deny", "pass"

// What is written of arguments.
enum class AuditArguments : uint8_t { hash, full };

enum class Direction : uint8_t { client_to_server, server_to_client };

// What does not change during a session; serialised once.
struct SessionFacts {
    std::string session_id;
    std::string transport;  // "stdio", "http"
    ServerIdentity server;
    PeerIdentity peer;                 // the client: whoever started the server, or made the connection; pid 0: not on this host
    std::string listen, peer_address;  // HTTP: both ends of the connection
    std::string grant;
    std::string policy, policy_revision, mode;
};

struct MessageRecord {
    Direction direction = Direction::client_to_server;
    const Message* message = nullptr;
    size_t bytes = 0;  // of the frame
    Decision decision = Decision::allowed;
    const Verdict* verdict = nullptr;  // null where the policy was not asked
    int64_t read_ns = 0;               // realtime: when the frame's last byte was read
    int64_t queue_ns = 0;              // from then to the start of judging
    int64_t judge_ns = 0;              // judging itself
    // server_to_client responses: what they answer
    std::string_view request_record_id;  // audit id of the request's record
    std::string_view request_method, request_tool;
    int64_t latency_ns = -1;  // request forwarded -> answer seen
    uint32_t number = 0;      // in its session, from 1 on, where that has a ledger: see AuditLog::settle()
};

}  // namespace callgate
