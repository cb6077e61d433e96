// What is left to the next agent of HTTP: its sessions, its connections, and clients whose server was not decided on yet.
//
//   "http sessions"   a memfd with the state of all of them               SavedHttpSessions
//   "http"            a memfd, the client's socket, the server's          SavedHttpConnection
//   "http waits"      a memfd, the client's socket                        WaitingHttpClient
//
// These states have format 2 (state_blob.h): an agent that does not know them refuses them by that, and says so.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "enforce/http_connection.h"
#include "restart/parcel.h"

namespace callgate {

struct WaitingHttpClient {
    Fd client;
    uint32_t netns = 0;
    std::string unread;
    bool http_only = false;  // EarlierConnection
};

// All that a planned restart leaves of HTTP.
struct LeftHttp {
    SavedHttpSessions sessions;
    std::vector<SavedHttpConnection> connections;
    std::vector<WaitingHttpClient> waiting;
    uint64_t cut = 0;  // those that could not be kept
};

inline constexpr uint32_t kHttpStateFormat = 2;
inline constexpr char kHttpLabel[] = "http", kHttpSessionsLabel[] = "http sessions", kHttpWaitsLabel[] = "http waits";

// In the order in which they are to be read; the descriptors stay the caller's. What cannot be written is an error.
Result<Bundle> to_bundle(const SavedHttpSessions& sessions, uint64_t cut);
Result<Bundle> to_bundle(const SavedHttpConnection& connection);
Result<Bundle> to_bundle(const WaitingHttpClient& waiting);
bool is_of_http(const Bundle& bundle);
// One such bundle into `left`.
Status take_bundle(Bundle bundle, LeftHttp& left);

nlohmann::json to_json(const SavedHttpSessions& sessions);
nlohmann::json to_json(const SavedHttpConnection& connection);
// Without descriptors. No exception leaves them: what is absent has its default, what is of the wrong kind is an error.
Result<SavedHttpSessions> http_sessions_from(const nlohmann::json& state);
Result<SavedHttpConnection> http_connection_from(const nlohmann::json& state);

}  // namespace callgate
