#include "policy/server_match.h"

#include "policy/name_pattern.h"
#include "policy/policy.h"
#include "session/container.h"

namespace callgate {

int ServerMatch::specificity() const {
    const bool given[] = {!user.empty(), !command.empty(), !path.empty(),    !listen.empty(),
                          !unit.empty(), !image.empty(),   !package.empty(), !exe_sha256.empty()};
    int number = 0, weight = 0, bit = 1;
    for (const bool each : given) {
        number += each;
        weight += each ? bit : 0;
        bit *= 2;
    }
    return number * bit + weight;
}

bool ServerMatch::empty() const { return specificity() == 0; }

bool ServerMatch::is_certain() const {
    return !package.empty() || !exe_sha256.empty();
}

bool image_matches(std::string_view wanted, std::string_view full_name) {
    const NamePattern pattern = NamePattern::of(wanted);
    if (full_name.empty() || pattern.is_pattern) return pattern.matches(full_name);
    const std::string full = full_image_name(wanted);
    const bool is_any_tag = untagged(wanted).size() == wanted.size();
    return is_any_tag ? untagged(full) == untagged(full_name) : full == full_name;
}

}  // namespace callgate
