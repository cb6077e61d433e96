// The audit record: one JSON object per judged message and per session event, one per line.
//
// Message records are made on the data path as a fixed struct plus views; the writer thread turns them into JSON.
// Argument values are never written, only their keys and a keyed hash (SipHash-2-4-128 under a secret that is made
// once per host), so that equal calls can be told equal without being told.
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

enum class Decision : uint8_t { allowed, denied, refused, would_deny, passed };
std::string_view name(Decision decision);  // "allow", "deny", "refuse", "would_deny", "pass"

enum class Direction : uint8_t { client_to_server, server_to_client };

// What does not change during a session; serialised once.
struct SessionFacts {
    std::string session_id;
    std::string transport;       // "stdio"
    ServerIdentity server;
    PeerIdentity peer;           // the client: whoever started the server
    std::string grant;
    std::string policy, policy_revision, mode;
};

struct MessageRecord {
    Direction direction = Direction::client_to_server;
    const Message* message = nullptr;
    size_t bytes = 0;              // of the frame
    Decision decision = Decision::allowed;
    const Verdict* verdict = nullptr;      // null where the policy was not asked
    int64_t read_ns = 0;           // realtime: when the frame's last byte was read
    int64_t queue_ns = 0;          // from then to the start of judging
    int64_t judge_ns = 0;          // judging itself
    // server_to_client responses: what they answer
    std::string_view request_record_id;   // audit id of the request's record
    std::string_view request_method, request_tool;
    int64_t latency_ns = -1;       // request forwarded -> answer seen
};

}  // namespace callgate
