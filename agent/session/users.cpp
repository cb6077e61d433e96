#include "session/users.h"

#include <grp.h>
#include <pwd.h>

#include <charconv>
#include <chrono>
#include <vector>

#include "session/lru_cache.h"

namespace callgate {
namespace {

constexpr size_t kUsersMax = 256;
constexpr size_t kEntryBytesMax = size_t{16} << 10;
// A group's entry lists its members.
constexpr size_t kGroupEntryBytesMax = size_t{1} << 20;
constexpr std::chrono::seconds kUserKept{60};

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

}  // namespace

std::string user_name(uid_t uid) {
    const auto now = std::chrono::steady_clock::now();
    std::optional<Known> known = known_users().get(uid);
    if (known && now < known->until) return known->name;
    struct passwd entry;
    struct passwd* found = nullptr;
    std::vector<char> buffer(kEntryBytesMax);
    const int failed = ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
    std::string name = failed == 0 && found != nullptr ? found->pw_name : std::to_string(uid);
    known_users().put(uid, Known{name, now + kUserKept});
    return name;
}

std::optional<gid_t> group_id(const std::string& name) {
    gid_t number = 0;
    const char* end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data(), end, number);
    if (error == std::errc() && rest == end) return number;
    const auto now = std::chrono::steady_clock::now();
    const std::optional<KnownGroup> known = known_groups().get(name);
    if (known && now < known->until) return known->id;
    struct group entry;
    struct group* found = nullptr;
    std::vector<char> buffer(kGroupEntryBytesMax);
    const int failed = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    std::optional<gid_t> id;
    if (failed == 0 && found != nullptr) id = found->gr_gid;
    known_groups().put(name, KnownGroup{id, now + kUserKept});
    return id;
}

}  // namespace callgate
