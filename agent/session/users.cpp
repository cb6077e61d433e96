#include "session/users.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include "session/lru_cache.h"

namespace callgate {
namespace {

constexpr size_t kUsersMax = 256;
constexpr size_t kEntryBytesMax = size_t{16} << 10;
// A group's entry lists its members.
constexpr size_t kGroupEntryBytesMax = size_t{1} << 20;
// Some hundred thousand users, or members of groups.
constexpr size_t kFileBytesMax = size_t{8} << 20;
constexpr std::chrono::seconds kUserKept{60};

constexpr const char* kRootOfFirst = "/proc/1/root";
constexpr const char* kUsers = "/etc/passwd";
constexpr const char* kGroups = "/etc/group";

struct Known {
    std::string name;
    std::chrono::steady_clock::time_point until;
};

struct KnownGroup {
    std::optional<gid_t> id;
    std::chrono::steady_clock::time_point until;
};

LruCache<std::string, KnownGroup>& known_groups() {
    static LruCache<std::string, KnownGroup> cache(kUsersMax);
    return cache;
}

LruCache<uid_t, Known>& known_users() {
    static LruCache<uid_t, Known> cache(kUsersMax);
    return cache;
}

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
    Number number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
    return number;
}

std::string_view cut_off(std::string_view& rest, char end) {
    const size_t at = rest.find(end);
    const std::string_view part = rest.substr(0, at);
    rest = at == rest.npos ? std::string_view() : rest.substr(at + 1);
    return part;
}

struct Entry {
    std::string name;
    uint32_t number;
};

// The first such line; in passwd(5) and group(5) alike it begins with "name:password:number".
template <typename IsIt>
std::optional<Entry> find_entry(const RootFs& root, const char* file, IsIt is_it) {
    const std::optional<std::string> text = root.read(file, kFileBytesMax);
    for (std::string_view rest = text ? *text : std::string_view(); !rest.empty();) {
        std::string_view line = cut_off(rest, '\n');
        const std::string_view name = cut_off(line, ':');
        cut_off(line, ':');
        const std::optional<uint32_t> number = number_of<uint32_t>(cut_off(line, ':'));
        if (number && is_it(name, *number)) return Entry{std::string(name), *number};
    }
    return std::nullopt;
}

// The host's, where that is not the agent's own.
std::optional<RootFs> root_of_host() {
    struct stat own, first;
    if (::stat("/", &own) != 0 || ::stat(kRootOfFirst, &first) != 0) return std::nullopt;  // it may not be ours to see
    if (own.st_dev == first.st_dev && own.st_ino == first.st_ino) return std::nullopt;
    Result<RootFs> root = RootFs::open(kRootOfFirst);
    if (!root.ok()) return std::nullopt;
    return std::move(*root);
}

std::optional<std::string> look_up_name(uid_t uid) {
    if (const std::optional<RootFs> host = root_of_host()) return user_name_in(*host, uid);
    struct passwd entry;
    struct passwd* found = nullptr;
    std::vector<char> buffer(kEntryBytesMax);
    const int failed = ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
    if (failed != 0 || found == nullptr) return std::nullopt;
    return found->pw_name;
}

std::optional<gid_t> look_up_group(const std::string& name) {
    if (const std::optional<RootFs> host = root_of_host()) return group_id_in(*host, name);
    struct group entry;
    struct group* found = nullptr;
    std::vector<char> buffer(kGroupEntryBytesMax);
    const int failed = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (failed != 0 || found == nullptr) return std::nullopt;
    return found->gr_gid;
}

}  // namespace

std::string user_name(uid_t uid) {
    const auto now = std::chrono::steady_clock::now();
    std::optional<Known> known = known_users().get(uid);
    if (known && now < known->until) return known->name;
    std::string name = look_up_name(uid).value_or(std::to_string(uid));
    known_users().put(uid, Known{name, now + kUserKept});
    return name;
}

std::optional<uid_t> user_id(const std::string& name) {
    if (const std::optional<RootFs> host = root_of_host()) return user_id_in(*host, name);
    struct passwd entry;
    struct passwd* found = nullptr;
    std::vector<char> buffer(kEntryBytesMax);
    const int failed = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (failed != 0 || found == nullptr) return std::nullopt;
    return found->pw_uid;
}

std::optional<gid_t> group_id(const std::string& name) {
    if (const std::optional<gid_t> number = number_of<gid_t>(name)) return number;
    const auto now = std::chrono::steady_clock::now();
    const std::optional<KnownGroup> known = known_groups().get(name);
    if (known && now < known->until) return known->id;
    const std::optional<gid_t> id = look_up_group(name);
    known_groups().put(name, KnownGroup{id, now + kUserKept});
    return id;
}

std::optional<std::string> user_name_in(const RootFs& root, uid_t uid) {
    std::optional<Entry> found = find_entry(root, kUsers, [&](std::string_view, uint32_t number) { return number == uid; });
    if (!found) return std::nullopt;
    return std::move(found->name);
}

std::optional<uid_t> user_id_in(const RootFs& root, std::string_view wanted) {
    const std::optional<Entry> found = find_entry(root, kUsers, [&](std::string_view name, uint32_t) { return name == wanted; });
    if (!found) return std::nullopt;
    return found->number;
}

std::optional<gid_t> group_id_in(const RootFs& root, std::string_view wanted) {
    const std::optional<Entry> found = find_entry(root, kGroups, [&](std::string_view name, uint32_t) { return name == wanted; });
    if (!found) return std::nullopt;
    return found->number;
}

}  // namespace callgate
