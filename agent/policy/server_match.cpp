#include "policy/policy.h"

namespace callgate {

int ServerMatch::specificity() const {
    const int given = !package.empty() + !command.empty() + !exe_sha256.empty() + !user.empty();
    const int weight = 8 * !exe_sha256.empty() + 4 * !package.empty() + 2 * !command.empty() + !user.empty();
    return given * 16 + weight;
}

bool ServerMatch::empty() const {
    return package.empty() && command.empty() && exe_sha256.empty() && user.empty();
}

bool ServerMatch::is_certain() const {
    return !package.empty() || !exe_sha256.empty();
}

}  // namespace callgate
