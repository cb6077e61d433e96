#include "session/npm_package.h"

#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "session/file_stamp.h"
#include "session/lru_cache.h"

namespace callgate {
namespace {

// Files remembered: more than a busy host has servers. Beyond that the file is read again.
constexpr size_t kManifestsMax = 1024;
// npm refuses to publish larger ones long before; a larger one is skipped.
constexpr size_t kManifestBytesMax = size_t{1} << 20;
// npm allows 214; longer ones name nothing.
constexpr size_t kPackageNameBytesMax = 512;
// Directories looked at on the way up, so that a hostile path costs bounded time.
constexpr int kWalkMax = 64;

LruCache<std::string, Package>& manifests() {
    static LruCache<std::string, Package> cache(kManifestsMax);
    return cache;
}

std::string short_string(const nlohmann::json& object, const char* key) {
    auto member = object.find(key);
    if (member == object.end() || !member->is_string()) return {};
    const std::string& text = member->get_ref<const std::string&>();
    return text.size() <= kPackageNameBytesMax ? text : std::string();
}

struct Manifest {
    std::string_view file, ecosystem;
};
constexpr Manifest kNpm[] = {{"package.json", "npm"}};
constexpr Manifest kDeno[] = {{"deno.json", "jsr"}, {"deno.jsonc", "jsr"}, {"package.json", "npm"}};

// Comments, which deno.jsonc may have, do no harm in the others.
Package parse_manifest(const std::string& text, const Manifest& kind, const std::string& directory) {
    Package package;
    nlohmann::json manifest = nlohmann::json::parse(text, nullptr, false, true);
    if (!manifest.is_object()) return package;
    package.name = short_string(manifest, "name");
    if (package.name.empty()) return package;
    package.ecosystem = kind.ecosystem;
    package.version = short_string(manifest, "version");
    package.root = directory;
    return package;
}

Package read_manifest(const RootFs& fs, const Manifest& kind, const std::string& directory) {
    const std::string path = (directory == "/" ? "/" : directory + "/") + std::string(kind.file);
    std::optional<RootFs::Found> found = fs.find(path);
    if (!found) return {};
    const std::string key = FileStamp::of(found->status).key(path);
    if (std::optional<Package> known = manifests().get(key)) return *known;
    Package package = parse_manifest(RootFs::read(*found, kManifestBytesMax).value_or(""), kind, directory);
    manifests().put(key, package);
    return package;
}

Package package_of_directory(const RootFs& fs, std::string directory, std::span<const Manifest> kinds) {
    for (int step = 0; step < kWalkMax && base_name(directory) != "node_modules"; ++step) {
        for (const Manifest& kind : kinds) {
            Package package = read_manifest(fs, kind, directory);
            if (!package.name.empty()) return package;
        }
        if (directory == "/") break;
        directory = parent_directory(directory);
    }
    return {};
}

}  // namespace

Package npm_package_of_directory(const RootFs& fs, std::string directory) {
    return package_of_directory(fs, std::move(directory), kNpm);
}

Package deno_package_of_directory(const RootFs& fs, std::string directory) {
    return package_of_directory(fs, std::move(directory), kDeno);
}

}  // namespace callgate
