#include "policy/store.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/trusted_path.h"
#include "policy/glob.h"
#include "policy/listen_address.h"
#include "policy/name_pattern.h"
#include "policy/policy_file.h"
#include "policy/policy_name.h"
#include "policy/server_match.h"
#include "session/cgroup.h"
#include "session/container.h"

namespace callgate {
namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const { closedir(directory); }
};

Result<std::vector<std::string>> list_files(const std::string& directory) {
    const std::unique_ptr<DIR, CloseDirectory> stream(opendir(directory.c_str()));
    if (!stream) return Error::system("opendir", directory, errno);
    std::vector<std::string> names;
    for (;;) {
        errno = 0;
        const dirent* entry = readdir(stream.get());
        if (!entry) break;
        const std::string_view name = entry->d_name;
        if (is_policy_name(name)) names.emplace_back(name);
    }
    if (errno != 0) return Error::system("readdir", directory, errno);
    std::sort(names.begin(), names.end());
    return names;
}

// A policy that says where a server listens, or what is asked of it there, governs no server on stdio.
bool matches_where_it_listens(const ServerMatch& match, const ServerIdentity& server) {
    if (match.listen.empty()) return match.path.empty() || !server.listens.empty();
    const std::optional<ListenAddress> wanted = ListenAddress::parse(match.listen);
    return std::any_of(server.listens.begin(), server.listens.end(), [&](const std::string& text) {
        const std::optional<ListenAddress> listener = ListenAddress::parse(text);
        return wanted && listener && wanted->covers(*listener);
    });
}

}  // namespace

bool matches_without_files(const ServerMatch& match, const ServerIdentity& server) {
    if (match.empty() || !matches_where_it_listens(match, server)) return false;
    if (!match.package.empty() && match.package != server.package.name) return false;
    if (!match.command.empty() && !glob_match(match.command, server.command)) return false;
    if (!match.unit.empty() && !NamePattern::of(match.unit).matches(unit_of(server.process.cgroup))) return false;
    return match.user.empty() || match.user == server.process.user || match.user == std::to_string(server.process.uid);
}

namespace {

// What the runtime has written down is read once, and only where a policy asks for it.
bool matches_image(const ServerMatch& match, ServerIdentity& server) {
    if (match.image.empty()) return true;
    if (!server.image) server.image = image_of_cgroup(server.process.cgroup);
    return image_matches(match.image, *server.image);
}

// Where it cannot be found out, the program may be any: a policy that names it by something else as well denies it everything.
enum class Hash { not_asked_for, asked_for, unknown };

enum class Matches { no, yes, if_hash_does };

// More than a user, who may run anything.
bool names_more_than_hash(const ServerMatch& match) {
    return !match.package.empty() || !match.command.empty() || !match.image.empty() || !match.unit.empty() ||
           !match.listen.empty();
}

Matches matches(const ServerMatch& match, ServerIdentity& server, Hash& hash, const std::function<void()>& while_hashing) {
    if (!matches_without_files(match, server) || !matches_image(match, server)) return Matches::no;
    if (match.exe_sha256.empty()) return Matches::yes;
    if (server.exe_sha256.empty() && hash == Hash::not_asked_for) {
        Result<std::string> found = exe_sha256_of(server.process.pid, while_hashing);
        const bool is_gone = !found.ok() && found.error().kind == ErrorKind::gone;
        hash = found.ok() || is_gone ? Hash::asked_for : Hash::unknown;
        if (found.ok()) server.exe_sha256 = std::move(found).value();
    }
    if (hash == Hash::unknown) return names_more_than_hash(match) ? Matches::if_hash_does : Matches::no;
    return match.exe_sha256 == server.exe_sha256 ? Matches::yes : Matches::no;
}

}  // namespace

std::shared_ptr<const Policy> PolicyStore::deny_for_tie(const std::vector<std::shared_ptr<const Policy>>& tied,
                                                        std::string& names) {
    Mode mode = Mode::observe;  // becomes the strictest of the tied policies
    for (const auto& policy : tied) {
        if (!names.empty()) names += ", ";
        names += policy->name();
        mode = std::min(mode, policy->mode());
    }
    return Policy::deny_everything("(policy tie)", "(policy tie)",
                                   "Several policies name this server equally well; nothing is allowed until one does.", mode,
                                   names);
}

namespace {

std::shared_ptr<const Policy> deny_for_unknown_hash(const Policy& policy) {
    return Policy::deny_everything(policy.name(), "(unknown program)",
                                   "The policy names this server's program by its hash, which cannot be found out.",
                                   policy.mode());
}

// Null where it must not govern; `problems` says why.
std::shared_ptr<const Policy> load_file(const std::string& path, std::vector<PolicyProblem>& problems) {
    PolicyFile file = read_governing_file(path);
    if (!file.problem.empty()) {
        problems.push_back({path, 0, 0, "", std::move(file.problem)});
        return nullptr;
    }
    std::shared_ptr<const Policy> policy = Policy::load(*file.text, path, problems);
    if (policy && policy->match().empty()) {
        problems.push_back({path, 1, 1, "/server", "names no server, so it governs none"});
        return nullptr;
    }
    return policy;
}

}  // namespace

Result<PolicyStore> PolicyStore::load(const std::string& directory, const PolicyStore* before) {
    TRY_VOID(check_trusted_path(directory));
    const std::vector<std::string> names = TRY(list_files(directory));
    PolicyStore store;
    std::map<std::string_view, std::shared_ptr<const Policy>> before_by_name;
    if (before) {
        for (const auto& policy : before->policies_) before_by_name.emplace(policy->name(), policy);
    }
    std::map<std::string_view, std::string_view> by_stem;
    std::map<ServerMatch, std::string_view> by_match;
    for (const std::string& name : names) {
        const std::string path = directory + (directory.ends_with('/') ? "" : "/") + name;
        const std::string_view stem = policy_stem(name);
        if (const auto [first, is_new] = by_stem.emplace(stem, name); !is_new) {
            store.problems_.push_back({path, 0, 0, "",
                                       "has the same name as " + std::string(first->second) +
                                           ", which is the one that is read; remove one of the two"});
            continue;
        }
        const auto was = before_by_name.find(stem);
        const std::shared_ptr<const Policy> known = was == before_by_name.end() ? nullptr : was->second;
        std::shared_ptr<const Policy> policy = load_file(path, store.problems_);
        if (!policy && known) store.problems_.back().message += " (its last good version stays in force)";
        if (known && (!policy || policy->revision() == known->revision())) policy = known;
        if (!policy) continue;
        // They are in force all the same: find() makes it a tie of the servers that there are.
        if (const auto [first, is_new] = by_match.emplace(policy->match(), name); !is_new) {
            store.problems_.push_back({path, 0, 0, "/server",
                                       "names the same servers as " + std::string(first->second) +
                                           ", a tie: they are denied everything until one of the two is removed or says more"});
        }
        store.policies_.push_back(std::move(policy));
    }
    return store;
}

bool PolicyStore::is_same(const PolicyStore& other) const {
    const auto same_text = [](const PolicyProblem& a, const PolicyProblem& b) { return a.text() == b.text(); };
    return policies_ == other.policies_ &&
           std::equal(problems_.begin(), problems_.end(), other.problems_.begin(), other.problems_.end(), same_text);
}

PolicyStore::Match PolicyStore::find(ServerIdentity& server, const std::function<void()>& while_hashing) const {
    std::vector<std::shared_ptr<const Policy>> best;
    int best_specificity = 0;
    Hash hash = Hash::not_asked_for;
    bool is_certain = true;
    for (const auto& policy : policies_) {
        const int specificity = policy->match().specificity();
        if (specificity < best_specificity) continue;
        const Matches found = matches(policy->match(), server, hash, while_hashing);
        if (found == Matches::no) continue;
        if (specificity > best_specificity) best.clear();
        best_specificity = specificity;
        is_certain = found == Matches::yes;
        best.push_back(policy);
    }
    Match match;
    if (best.size() == 1) match.policy = is_certain ? best[0] : deny_for_unknown_hash(*best[0]);
    if (best.size() > 1) match.policy = deny_for_tie(best, match.tie);
    return match;
}

}  // namespace callgate
