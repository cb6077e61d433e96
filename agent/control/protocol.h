// The control socket: AF_UNIX stream, one JSON object per line each way.
//
//   -> {"verb":"status"}          <- {"ok":true,"result":{…}}
//   -> {"verb":"nonsense"}        <- {"ok":false,"error":"unknown verb \"nonsense\" (known: status)"}
//
// A handler finds in the request's "peer" who asks: {"uid", "pid", "login_uid"}, as the kernel says.
// The server checks SO_PEERCRED: root and the agent's own user only; anyone else gets an error and is cut
// off.
#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"

namespace callgate {

inline constexpr char kControlSocketDefault[] = "/run/callgate/control.sock";
inline constexpr size_t kControlRequestBytesMax = 65536;

// Client side, used by the CLI: sends one request, waits at most `timeout_ms` for the answer's "result".
Result<nlohmann::json> control_request(const std::string& socket_path, const nlohmann::json& request, int timeout_ms);

}  // namespace callgate
