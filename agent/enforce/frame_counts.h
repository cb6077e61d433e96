// FrameCounts: the books of a session, of a connection, or of all of them (invariant I3). A frame is one JSON-RPC
// message of the client; over HTTP also a request that was refused as malformed.
#pragma once
#include <cstdint>
#include <string>

namespace callgate {

struct FrameCounts {
    uint64_t in = 0, forwarded = 0, denied = 0, refused = 0, held = 0;  // client to server
    uint64_t blank = 0;                                                 // empty lines, dropped
    uint64_t server_in = 0, server_forwarded = 0, server_denied = 0;
    uint64_t lists_filtered = 0;
    uint64_t foreign_bytes = 0;  // passed while the stream was not MCP
    uint64_t client_bytes = 0, server_bytes = 0;
    FrameCounts& operator+=(const FrameCounts& other);
    bool conserved() const { return in == forwarded + denied + refused + held && server_in == server_forwarded + server_denied; }
};
// The messages among them, as the JSON object that ends a session in the audit log.
std::string json_text(const FrameCounts& counts, size_t unanswered);

}  // namespace callgate
