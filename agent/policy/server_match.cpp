#include "policy/policy.h"

namespace callgate {

int ServerMatch::specificity() const {
    const int given = !package.empty() + !command.empty() + !exe_sha256.empty() + !user.empty() + !listen.empty() +
                      !path.empty();
    const int weight = 32 * !exe_sha256.empty() + 16 * !package.empty() + 8 * !listen.empty() + 4 * !path.empty() +
                       2 * !command.empty() + !user.empty();
    return given * 64 + weight;
}

bool ServerMatch::empty() const {
    return package.empty() && command.empty() && exe_sha256.empty() && user.empty() && listen.empty() && path.empty();
}

bool ServerMatch::is_certain() const {
    return !package.empty() || !exe_sha256.empty();
}

}  // namespace callgate
