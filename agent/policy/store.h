// PolicyStore: the policies of a configuration directory, and which of them governs a server.
//
// One bad file never disables the others: it is listed in problems() and its servers keep what they had (at start:
// the host's default). Two policies that match a server equally well are an error, reported by find(), and the
// server is denied everything rather than governed by a guess.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace callgate {

// True where every member that is given matches, but for `exe_sha256` and `image`, which cost reads of files and are not
// looked at.
bool matches_without_files(const ServerMatch& match, const ServerIdentity& server);

class PolicyStore {
  public:
    // Reads DIR/*.json, *.yaml and *.yml in name order, but no *.test.json, and of one name only the first. A file that is the
    // same as in `before` is the same object; of one that is bad now, the policy of `before` stays in force. Refuses (as a
    // problem) files that group or others can write, that are not regular, or that are larger than kPolicyFileBytesMax. A
    // directory that cannot be read is an error.
    static Result<PolicyStore> load(const std::string& directory, const PolicyStore* before = nullptr);

    struct Match {
        std::shared_ptr<const Policy> policy;  // null: no policy names this server
        // Names of equally specific policies, empty where there is no tie; `policy` then denies everything, under
        // the strictest of their modes.
        std::string tie;
    };
    // exe_sha256 is asked for (and computed) only if some policy names one.
    Match find(ServerIdentity& server, const std::function<void()>& while_hashing = {}) const;
    // Denies everything, under the strictest of their modes; `names` receives whose they are.
    static std::shared_ptr<const Policy> deny_for_tie(const std::vector<std::shared_ptr<const Policy>>& tied, std::string& names);
    const std::vector<std::shared_ptr<const Policy>>& policies() const { return policies_; }
    const std::vector<PolicyProblem>& problems() const { return problems_; }
    // Same policies, same problems.
    bool is_same(const PolicyStore& other) const;

  private:
    std::vector<std::shared_ptr<const Policy>> policies_;
    std::vector<PolicyProblem> problems_;
};

}  // namespace callgate
