// ConditionPath: what a condition looks at.
//
//   args.list.0.name   ->  root args, steps "list" "0" "name"
//   args.items.*.sku   ->  root args, steps "items", any, "sku"
//   args.a\.b          ->  root args, step "a.b"             (`\.` `\*` `\\` take the character as it is)
//   peer.uid           ->  root peer, fact peer_uid
//
// `args`: the arguments of a tool or prompt, of any other method its params. `annotations`: those of the tool in the
// server's last tools/list. `client` is what the client says of itself; everything else is what the agent has seen.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace callgate {

enum class PathRoot : uint8_t { args, annotations, caller };

// What can be asked about who calls whom.
enum class CallerFact : uint8_t {
    none,
    grant_key,
    grant_name,
    grant_label,  // whatever grants.json says of the grant
    peer_uid,
    peer_user,
    peer_exe,
    peer_cgroup,
    peer_container,
    server_name,
    server_package,
    server_version,
    server_exe,
    server_command,
    server_uid,
    server_user,
    client_name,
    client_version,
};
// By the paths that they have; those of a label are "grant." and its name.
inline constexpr std::array<std::pair<std::string_view, CallerFact>, 16> kCallerFacts = {
    {{"grant.key", CallerFact::grant_key},
     {"grant.name", CallerFact::grant_name},
     {"peer.uid", CallerFact::peer_uid},
     {"peer.user", CallerFact::peer_user},
     {"peer.exe", CallerFact::peer_exe},
     {"peer.cgroup", CallerFact::peer_cgroup},
     {"peer.container", CallerFact::peer_container},
     {"server.name", CallerFact::server_name},
     {"server.package", CallerFact::server_package},
     {"server.version", CallerFact::server_version},
     {"server.exe", CallerFact::server_exe},
     {"server.command", CallerFact::server_command},
     {"server.uid", CallerFact::server_uid},
     {"server.user", CallerFact::server_user},
     {"client.name", CallerFact::client_name},
     {"client.version", CallerFact::client_version}}};

struct PathStep {
    bool any = false;  // `*`: each element of an array, each member of an object
    std::string name;
};

struct ConditionPath {
    PathRoot root = PathRoot::args;
    CallerFact fact = CallerFact::none;  // of root caller
    std::string label;                   // of CallerFact::grant_label
    std::vector<PathStep> steps;         // of the other roots, at least one
};

// Nothing where it is no path; then `problem` says why.
std::optional<ConditionPath> parse_condition_path(std::string_view text, std::string& problem);
// The steps of a path without a root; nothing as above.
std::optional<std::vector<PathStep>> parse_path_steps(std::string_view text, std::string& problem);

}  // namespace callgate
