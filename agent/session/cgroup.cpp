#include "session/cgroup.h"

#include <cstddef>

namespace callgate {
namespace {

constexpr size_t kContainerIdBytes = 64;

// Takes the first component off the path.
std::string_view next_component(std::string_view& path) {
    while (path.starts_with('/')) path.remove_prefix(1);
    const std::string_view component = path.substr(0, path.find('/'));
    path.remove_prefix(component.size());
    return component;
}

// The first service or scope below slices only; "" where something else stands there. systemd puts "_" before a name that
// the kernel would read in another way.
std::string_view next_unit(std::string_view& path) {
    for (std::string_view name = next_component(path); !name.empty(); name = next_component(path)) {
        if (name.starts_with('_')) name.remove_prefix(1);
        if (name.ends_with(".service") || name.ends_with(".scope")) return name;
        if (!name.ends_with(".slice")) return {};
    }
    return {};
}

}  // namespace

std::string unit_of(std::string_view cgroup) {
    std::string unit(next_unit(cgroup));
    if (!unit.starts_with("user@") || !unit.ends_with(".service")) return unit;
    const std::string_view of_user = next_unit(cgroup);
    if (!of_user.empty()) unit.append("/").append(of_user);
    return unit;
}

std::string_view container_of(std::string_view cgroup) {
    size_t run = 0;
    for (size_t end = cgroup.size(); end > 0; --end) {
        const char c = cgroup[end - 1];
        const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        run = hex ? run + 1 : 0;
        const bool begins = end == 1 || cgroup[end - 2] == '/' || cgroup[end - 2] == '-' || cgroup[end - 2] == ':';
        if (run == kContainerIdBytes && begins) return cgroup.substr(end - 1, run);
    }
    return {};
}

std::string_view system_container_of(std::string_view cgroup) {
    return unit_of(cgroup).starts_with("user@") ? std::string_view() : container_of(cgroup);
}

}  // namespace callgate
