#include "session/users.h"

#include <pwd.h>

#include <chrono>
#include <vector>

#include "session/lru_cache.h"

namespace callgate {
namespace {

constexpr size_t kUsersMax = 256;
constexpr size_t kEntryBytesMax = size_t{16} << 10;
constexpr std::chrono::seconds kUserKept{60};

struct Known {
    std::string name;
    std::chrono::steady_clock::time_point until;
};

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

}  // namespace callgate
