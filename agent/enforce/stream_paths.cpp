#include "enforce/stream_paths.h"

#include <algorithm>

#include "base/clock.h"
#include "base/limits.h"
#include "http/target_path.h"

namespace callgate {
namespace {

// The listener, and the process where it is known. No line feed is in them.
std::vector<std::string> owners_of(const HttpFacts& facts) {
    std::vector<std::string> owners{facts.listener_key()};
    const ProcessFacts& server = facts.server.process;
    if (server.pid != 0) owners.push_back("process " + std::to_string(server.pid) + " " + std::to_string(server.start_time));
    return owners;
}

// The root is above everything.
std::string key_of(std::string_view owner, std::string_view path) {
    return std::string(owner).append("\n").append(path == "/" ? std::string_view() : path);
}

}  // namespace

void StreamPaths::begin(const HttpFacts& facts, std::string_view path) {
    for (const std::string& owner : owners_of(facts)) ++paths_[key_of(owner, path)].streams;
    make_room();
}

void StreamPaths::end(const HttpFacts& facts, std::string_view path) {
    for (const std::string& owner : owners_of(facts)) {
        const auto known = paths_.find(key_of(owner, path));
        if (known != paths_.end() && known->second.streams > 0 && --known->second.streams == 0)
            known->second.left_ns = monotonic_ns();
    }
}

void StreamPaths::know(const HttpFacts& facts, std::string_view path) {
    for (const std::string& owner : owners_of(facts)) paths_[key_of(owner, path)].left_ns = monotonic_ns();
    make_room();
}

bool StreamPaths::takes(const HttpFacts& facts, std::string_view path) const {
    if (paths_.empty()) return false;
    const std::vector<std::string> readings = path_readings(path), owners = owners_of(facts);
    return std::any_of(owners.begin(), owners.end(), [&](const std::string& owner) {
        return std::any_of(readings.begin(), readings.end(),
                           [&](const std::string& reading) { return is_known(owner, reading); });
    });
}

// What a known path is the beginning of stands right behind it in the map, and only other such things between: the greatest
// that is not behind the reading either is one above it, or shares with it all that one above it can have.
bool StreamPaths::is_known(const std::string& owner, std::string_view reading) const {
    const std::string whole = key_of(owner, reading);
    const size_t root = owner.size() + 1;
    for (std::string_view above = whole;;) {
        auto known = paths_.upper_bound(above);
        if (known == paths_.begin()) return false;
        const std::string& nearest = (--known)->first;
        const size_t shared = static_cast<size_t>(
            std::mismatch(nearest.begin(), nearest.end(), above.begin(), above.end()).first - nearest.begin());
        if (shared == nearest.size() && (shared == above.size() || above[shared] == '/')) return true;
        if (shared < root) return false;
        const size_t slash = whole.rfind('/', shared);
        if (slash == std::string::npos || slash < root) return false;
        above = std::string_view(whole).substr(0, slash);
    }
}

void StreamPaths::make_room() {
    constexpr size_t kOwners = 2;
    while (paths_.size() > kOwners * kHttpStreamPathsMax) {
        auto oldest = paths_.end();
        for (auto each = paths_.begin(); each != paths_.end(); ++each) {
            if (each->second.streams > 0) continue;
            if (oldest == paths_.end() || each->second.left_ns < oldest->second.left_ns) oldest = each;
        }
        if (oldest == paths_.end()) return;
        paths_.erase(oldest);
    }
}

std::vector<std::pair<std::string, int64_t>> StreamPaths::leave() {
    std::vector<std::pair<std::string, int64_t>> left;
    for (const auto& [key, use] : std::exchange(paths_, {}))
        if (use.streams == 0) left.emplace_back(key, use.left_ns);
    return left;
}

void StreamPaths::restore(std::vector<std::pair<std::string, int64_t>> left) {
    for (auto& [key, left_ns] : left) paths_[std::move(key)].left_ns = left_ns;
}

}  // namespace callgate
