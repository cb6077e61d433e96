#include "policy/grant.h"

#include <algorithm>
#include <optional>

#include "session/cgroup.h"
#include "session/users.h"

namespace callgate {
namespace {

// docker(1) and others print so many digits of an id.
constexpr size_t kShortContainerIdBytes = 12;
// The kernel's remark on a program whose file was replaced while it runs.
constexpr std::string_view kDeleted = " (deleted)";

bool matches_group(const std::string& wanted, const ProcessFacts& process) {
    const std::optional<gid_t> id = group_id(wanted);
    return id && std::find(process.groups.begin(), process.groups.end(), *id) != process.groups.end();
}

std::string_view program_of(std::string_view exe) {
    return exe.ends_with(kDeleted) ? exe.substr(0, exe.size() - kDeleted.size()) : exe;
}

bool matches_container(const NamePattern& wanted, std::string_view id) {
    if (id.empty()) return false;
    const bool is_begin = !wanted.is_pattern && wanted.text.size() >= kShortContainerIdBytes && id.starts_with(wanted.text);
    return is_begin || wanted.matches(id);
}

bool matches_parents(const std::vector<NamePattern>& wanted, const std::vector<Ancestor>& parents) {
    return std::all_of(wanted.begin(), wanted.end(), [&](const NamePattern& each) {
        return std::any_of(parents.begin(), parents.end(), [&](const Ancestor& parent) {
            // What a process is called it says itself, a path too: a path is compared with nothing but its program.
            const bool is_path = each.text.find('/') != each.text.npos;
            return each.matches(program_of(parent.exe)) || (!is_path && each.matches(parent.comm));
        });
    });
}

// Everything that the kernel says of a process, but for the hash of its program.
bool matches_process(const GrantMatch& match, const PeerIdentity& peer) {
    const ProcessFacts& process = peer.process;
    if (match.user.given() && !match.user.matches(process.user) && match.user.text != std::to_string(process.uid)) return false;
    if (match.group.given() && !matches_group(match.group.text, process)) return false;
    if (match.exe.given() && !match.exe.matches(program_of(process.exe))) return false;
    if (match.cgroup.given() && !match.cgroup.matches(process.cgroup)) return false;
    if (match.unit.given() && !match.unit.matches(unit_of(process.cgroup))) return false;
    if (match.container.given() && !matches_container(match.container, system_container_of(process.cgroup))) return false;
    return matches_parents(match.parents, peer.parents);
}

bool asks_for_process(const GrantMatch& match) {
    GrantMatch other = match;
    other.client = {};
    return !(other == GrantMatch());
}

bool matches(const GrantMatch& match, const GrantTable::Asker& asker, std::optional<std::string>& hash) {
    if (match.client.given() && !match.client.matches(asker.client_name)) return false;
    if (!asks_for_process(match)) return true;
    if (asker.peer.process.pid == 0 || !matches_process(match, asker.peer)) return false;
    if (match.exe_sha256.empty()) return true;
    if (!hash) hash = asker.exe_sha256 ? asker.exe_sha256() : std::string();
    return match.exe_sha256 == *hash;
}

}  // namespace

int GrantMatch::specificity() const {
    const bool given[] = {client.given(), group.given(),     user.given(), !parents.empty(),   cgroup.given(),
                          unit.given(),   container.given(), exe.given(),  !exe_sha256.empty()};
    int number = 0, weight = 0, bit = 1;
    for (const bool each : given) {
        number += each;
        weight += each ? bit : 0;
        bit *= 2;
    }
    return number * bit + weight;
}

SeenValue Grant::label(std::string_view wanted) const {
    for (const GrantLabel& each : labels) {
        if (each.name == wanted) return each.value();
    }
    return {};
}

GrantTable::Found GrantTable::find(const Asker& asker) const {
    Found found;
    int best = 0;
    std::optional<std::string> hash;
    for (const Grant& grant : grants_) {
        const int specificity = grant.match.specificity();
        if (specificity < best || !matches(grant.match, asker, hash)) continue;
        found.is_tie = specificity == best;
        found.grant = &grant;
        best = specificity;
    }
    if (found.is_tie) found.grant = nullptr;
    return found;
}

}  // namespace callgate
