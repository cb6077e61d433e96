#include "policy/grant_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "policy/policy_file.h"

namespace callgate {

GrantStore GrantStore::load(const std::string& directory, const GrantStore* before) {
    GrantStore store;
    store.table = std::make_shared<const GrantTable>();
    const std::string path = directory + (directory.ends_with('/') ? "" : "/") + std::string(kGrantsFile);
    const bool is_absent = faccessat(AT_FDCWD, path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
    if (is_absent) return store;
    const PolicyFile file = read_governing_file(path);
    std::shared_ptr<const GrantTable> table;
    if (file.problem.empty()) {
        table = GrantTable::load(*file.text, path, store.problems);
    } else {
        store.problems.push_back({path, 0, 0, "", file.problem});
    }
    if (!table) {
        store.problems.back().message +=
            before ? " (its last good version stays in force)" : " (every caller has the default grant)";
    }
    if (!table && before) table = before->table;
    if (table && before && table->revision() == before->table->revision()) table = before->table;
    if (table) store.table = std::move(table);
    return store;
}

bool GrantStore::is_same(const GrantStore& other) const {
    const auto same_text = [](const PolicyProblem& a, const PolicyProblem& b) { return a.text() == b.text(); };
    return table->revision() == other.table->revision() &&
           std::equal(problems.begin(), problems.end(), other.problems.begin(), other.problems.end(), same_text);
}

}  // namespace callgate
