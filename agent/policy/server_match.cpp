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

bool ServerMatch::is_certain() const { return !package.empty() || !exe_sha256.empty(); }

namespace {

// Without the registry, and without the directory that runtimes put before official images, or do not.
std::string_view path_of(std::string_view image) {
    if (const size_t registry = registry_of(image).size()) image.remove_prefix(registry + 1);
    constexpr std::string_view kOfficial = "library/";
    return image.starts_with(kOfficial) ? image.substr(kOfficial.size()) : image;
}

}  // namespace

bool image_matches(std::string_view wanted, std::string_view full_name) {
    const NamePattern pattern = NamePattern::of(wanted);
    if (full_name.empty() || pattern.is_pattern) return pattern.matches(full_name);
    const std::string_view registry = registry_of(wanted), other_registry = registry_of(full_name);
    if (!registry.empty() && !other_registry.empty() && registry != other_registry) return false;
    const bool is_any_tag = untagged(wanted).size() == wanted.size();
    return path_of(wanted) == path_of(is_any_tag ? untagged(full_name) : full_name);
}

}  // namespace callgate
