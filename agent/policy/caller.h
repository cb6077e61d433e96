// Caller: who calls whom, as conditions and limits see it; and what the server says of its tools.
#pragma once
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "policy/condition.h"
#include "session/cgroup.h"
#include "session/identity.h"

namespace callgate {

class ApprovalDesk;
struct Grant;
class SessionPins;

// Why a caller may call nothing, whatever the policy says.
enum class GrantRefusal : uint8_t { none, no_grant, tie };

// The "annotations" of each tool in a server's lists, as it wrote them. Bounded: what is too much is not remembered.
class ToolAnnotations {
  public:
    // `annotations`: JSON; replaces what was known of the tool.
    void remember(std::string_view tool, std::string_view annotations);
    std::string_view of(std::string_view tool) const;  // "" where nothing is known
    std::vector<std::pair<std::string, std::string>> all() const { return {tools_.begin(), tools_.end()}; }

  private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    std::unordered_map<std::string, std::string, Hash, std::equal_to<>> tools_;
};

// Views and pointers live as long as the session; what is not known is null or empty.
struct Caller {
    std::string_view grant;    // key of the caller's grant: its name, or "uid:1000 exe:/usr/bin/node" of the default one
    std::string_view session;  // session id
    std::string_view server;   // key of the server: its policy's name
    const ServerIdentity* server_identity = nullptr;
    const PeerIdentity* peer = nullptr;                      // of no process of this host: pid 0
    std::string_view client_name = {}, client_version = {};  // clientInfo, as the client says
    const ToolAnnotations* annotations = nullptr;
    ApprovalDesk* approvals = nullptr;   // null: what needs approval is denied
    const SessionPins* pins = nullptr;   // what its session was shown of pinned tools
    const Grant* named_grant = nullptr;  // of grants.json; null: the default one
    GrantRefusal refusal = GrantRefusal::none;
    std::string_view turn = {};  // of a call that waited: key of the counter in whose line it is the first
};

// Kind absent where it is not known. `digits` holds the text of a number.
SeenValue fact_of(CallerFact fact, const Caller& caller, std::string& digits, std::string_view label = {});

}  // namespace callgate
