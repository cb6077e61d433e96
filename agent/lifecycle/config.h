// callgate.json: the agent's own configuration. Every member is optional; `{}` is a whole configuration.
//
//   {
//     "scope": {"trees": [1234], "cgroups": ["/sys/fs/cgroup/user.slice"], "users": ["alice", 1000]},
//     "audit": {"file": "/var/log/callgate/audit.jsonl",
//               "arguments": "hash"},  of calls: their keys and a keyed hash; "full": their values, too
//     "control": {"socket": "/run/callgate/control.sock"},
//     "unnamed": "observe",            servers that no policy names: "observe" (left alone) | "deny"
//     "approvals": {"webhook": {"url": "https://example.org/hook", "secret_file": "/etc/callgate/webhook.secret"}},
//     "frame_bytes_max": 67108864,     longest message; a longer one is refused
//     "stop_timeout_s": 60             how long a stop waits for servers that do not read
//   }
#pragma once
#include <string>
#include <vector>

#include "audit/record.h"
#include "kernel/scope.h"
#include "policy/store.h"

namespace callgate {

struct Config {
    Scope scope;
    std::string audit_file = "/var/log/callgate/audit.jsonl";
    AuditArguments audit_arguments = AuditArguments::hash;
    std::string control_socket = "/run/callgate/control.sock";
    std::string state_directory = "/var/lib/callgate";
    std::string webhook_url;          // who is told of approvals; empty: nobody
    std::string webhook_secret_file;  // empty: one of its own in the state directory
    bool deny_unnamed = false;
    size_t frame_bytes_max = kFrameBytesDefault;
    int stop_timeout_s = 60;
};

// Reads DIRECTORY/callgate.json. Everything wrong is in `problems`; a file that is absent is an error.
Result<Config> load_config(const std::string& directory, std::vector<PolicyProblem>& problems);
// Whom it is about can be told, although there are these problems in callgate.json.
bool scope_is_clear(const std::vector<PolicyProblem>& problems);

}  // namespace callgate
