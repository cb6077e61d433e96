// GrantStore: grants.json of a configuration directory, and what is wrong with it.
//
//   (no such file)   ->  an empty table: everybody has the default grant
//   (a bad file)     ->  the table of before, a problem that says so; at the start: an empty one
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "policy/grant.h"

namespace callgate {

inline constexpr std::string_view kGrantsFile = "grants.json";

struct GrantStore {
    std::shared_ptr<const GrantTable> table;  // never null
    std::vector<PolicyProblem> problems;

    static GrantStore load(const std::string& directory, const GrantStore* before = nullptr);
    // Same grants, same problems.
    bool is_same(const GrantStore& other) const;
};

}  // namespace callgate
