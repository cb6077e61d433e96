// GrantTable: one grants.json, loaded: who callers are, by what the kernel sees of them.
//
//   {"version": "1", "grants": {
//      "ci":  {"match": {"user": "ci", "exe": "/usr/bin/node", "unit": "glob:ci@*.service"}, "labels": {"team": "build"}},
//      "dev": {"match": {"group": "developers"}}}}
//
//   node of user ci, in ci@3.service  ->  grant "ci"; counters of the scope "grant" and records are under that name
//   anybody else                      ->  no grant of the file: the default grant, "uid:1000 exe:/usr/bin/node"
//
// The grant with the most members that match has the caller; two that are equal in that are a tie, and the caller is denied
// everything until one of them says more. Immutable and shared between sessions.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/condition.h"
#include "policy/name_pattern.h"
#include "policy/policy_problem.h"
#include "session/identity.h"

namespace callgate {

// Every member that is given must match.
struct GrantMatch {
    NamePattern user;                  // name or number
    NamePattern group;                 // name or number of one of the process's groups; no pattern
    NamePattern exe;                   // path of the program
    std::string exe_sha256;            // 64 hex digits
    std::vector<NamePattern> parents;  // for each, some ancestor has this program or this name
    NamePattern cgroup;                // path in cgroup v2
    NamePattern unit;                  // as unit_of() says it
    NamePattern container;             // id, or 12 digits or more that it begins with
    NamePattern client;                // clientInfo.name: what the client says, and anybody can

    // How many members are given; exe_sha256 > exe > container > unit > cgroup > parents > user > group > client break ties.
    int specificity() const;
    bool operator==(const GrantMatch&) const = default;
};

// Something that the file says of a grant, for conditions: grant.team.
struct GrantLabel {
    std::string name;
    ValueKind kind = ValueKind::string;
    std::string text;  // of a number or boolean as JSON has it
    SeenValue value() const { return {kind, text}; }
};

struct Grant {
    std::string name;
    GrantMatch match;
    std::vector<GrantLabel> labels;

    SeenValue label(std::string_view name) const;  // absent where it has none
};

class GrantTable {
  public:
    GrantTable() = default;  // of no file: everybody has the default grant
    // `problems` receives everything wrong, and then nothing is returned.
    static std::shared_ptr<const GrantTable> load(std::string_view text, std::string_view file,
                                                  std::vector<PolicyProblem>& problems);

    // Whose grant is asked for. `exe_sha256` is called at most once, and only if a grant depends on it.
    struct Asker {
        const PeerIdentity& peer;
        std::string_view client_name;
        std::function<std::string()> exe_sha256;
    };
    struct Found {
        const Grant* grant = nullptr;  // null: none of the file; lives as long as the table
        bool is_tie = false;
    };
    Found find(const Asker& asker) const;

    // What becomes of callers that no grant names.
    bool denies_others() const { return denies_others_; }
    const std::vector<Grant>& grants() const { return grants_; }
    const std::string& revision() const { return revision_; }  // "" of no file

  private:
    friend class GrantLoader;
    std::vector<Grant> grants_;
    bool denies_others_ = false;
    std::string revision_;
};

}  // namespace callgate
