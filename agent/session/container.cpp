#include "session/container.h"

#include <sys/stat.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "kernel/scope.h"
#include "session/cgroup.h"
#include "session/lru_cache.h"

namespace callgate {
namespace {

using nlohmann::json;

// An OCI configuration with its seccomp profile has some hundred KiB; the list of Podman's containers some KiB for each.
constexpr size_t kStateBytesMax = size_t{4} << 20;
constexpr size_t kNamespacesMax = 64;
constexpr size_t kNameBytesMax = 1024;
constexpr size_t kMetadataBytesMax = size_t{64} << 10;
constexpr size_t kContainersMax = 1024;
// What is not there yet may be written a moment later.
constexpr std::chrono::seconds kKept{60}, kAbsentKept{2};

constexpr const char* kDocker = "/var/lib/docker/containers/";
constexpr const char* kContainerd = "/run/containerd/io.containerd.runtime.v2.task";
constexpr const char* kStorage = "/var/lib/containers/storage/overlay-containers/";

json read_json(const RootFs& fs, const std::string& path) {
    const std::optional<std::string> text = fs.read(path, kStateBytesMax);
    return text ? json::parse(*text, nullptr, false) : json();
}

// The text at a path of members; "" where there is none.
std::string text_at(const json& value, std::initializer_list<const char*> path, size_t bytes_max = kNameBytesMax) {
    const json* at = &value;
    for (const char* key : path) {
        const auto found = at->is_object() ? at->find(key) : at->end();
        if (!at->is_object() || found == at->end()) return {};
        at = &*found;
    }
    if (!at->is_string()) return {};
    std::string text = at->get<std::string>();
    return text.size() <= bytes_max ? text : std::string();
}

Container made(const char* runtime, std::string name, const std::string& image) {
    if (image.empty()) return {};
    return Container{runtime, std::move(name), full_image_name(image)};
}

Container of_docker(const RootFs& fs, const std::string& id) {
    const json state = read_json(fs, kDocker + id + "/config.v2.json");
    std::string name = text_at(state, {"Name"});
    if (name.starts_with('/')) name.erase(0, 1);
    return made("docker", std::move(name), text_at(state, {"Config", "Image"}));
}

Container of_containerd(const RootFs& fs, const std::string& id) {
    for (const std::string& space : fs.list(kContainerd, kNamespacesMax)) {
        const json config = read_json(fs, kContainerd + ("/" + space) + "/" + id + "/config.json");
        Container found = made("containerd", text_at(config, {"annotations", "io.kubernetes.cri.container-name"}),
                               text_at(config, {"annotations", "io.kubernetes.cri.image-name"}));
        if (!found.runtime.empty()) return found;
    }
    return {};
}

Container of_crio(const RootFs& fs, const std::string& id) {
    const json config = read_json(fs, kStorage + id + "/userdata/config.json");
    return made("cri-o", text_at(config, {"annotations", "io.kubernetes.container.name"}),
                text_at(config, {"annotations", "io.kubernetes.cri-o.ImageName"}));
}

Container of_podman(const RootFs& fs, const std::string& id) {
    for (const char* file : {"containers.json", "volatile-containers.json"}) {
        const json all = read_json(fs, std::string(kStorage) + file);
        if (!all.is_array()) continue;
        for (const json& each : all) {
            if (text_at(each, {"id"}) != id) continue;
            const json metadata = json::parse(text_at(each, {"metadata"}, kMetadataBytesMax), nullptr, false);
            return made("podman", text_at(metadata, {"name"}), text_at(metadata, {"image-name"}));
        }
    }
    return {};
}

// Whoever may write to the directory that the container's own lies in could have made one of that name.
bool is_made_by_root(const std::string& cgroup, std::string_view id) {
    const size_t at = static_cast<size_t>(id.data() - cgroup.data());
    const size_t slash = cgroup.rfind('/', at);
    const std::string parent = cgroup2_mount() + cgroup.substr(0, slash == std::string::npos ? 0 : slash);
    struct stat status;
    return ::stat(parent.c_str(), &status) == 0 && status.st_uid == 0 && !(status.st_mode & (S_IWGRP | S_IWOTH));
}

struct Known {
    std::string image;
    std::chrono::steady_clock::time_point until;
};

LruCache<std::string, Known>& known_images() {
    static LruCache<std::string, Known> cache(kContainersMax);
    return cache;
}

}  // namespace

Container read_container(const RootFs& fs, std::string_view id) {
    const std::string name(id);
    for (const auto read : {of_docker, of_containerd, of_crio, of_podman}) {
        Container found = read(fs, name);
        if (!found.runtime.empty()) return found;
    }
    return {};
}

std::string image_of_cgroup(const std::string& cgroup) {
    const std::string_view id = container_of(cgroup);
    if (id.empty() || !is_made_by_root(cgroup, id)) return {};
    const auto now = std::chrono::steady_clock::now();
    const std::string key(id);
    if (const std::optional<Known> known = known_images().get(key); known && now < known->until) return known->image;
    // That of the first process: of the host, also where the agent itself is in a container and sees the host's processes.
    Result<RootFs> fs = RootFs::open("/proc/1/root");
    if (!fs.ok()) fs = RootFs::open("");  // it may not be ours to see
    if (!fs.ok()) return {};
    Known found{read_container(*fs, id).image, {}};
    found.until = now + (found.image.empty() ? kAbsentKept : kKept);
    known_images().put(key, found);
    return found.image;
}

std::string full_image_name(std::string_view name) {
    std::string full(name);
    if (full.starts_with("sha256:")) return full;  // Docker, of an image that was run by its id
    if (untagged(full).size() == full.size()) full += ":latest";
    return full;
}

std::string_view registry_of(std::string_view name) {
    const size_t slash = name.find('/');
    const std::string_view first = name.substr(0, slash == name.npos ? 0 : slash);
    const bool is_registry = first == "localhost" || first.find_first_of(".:") != first.npos;
    return is_registry ? first : std::string_view();
}

std::string_view untagged(std::string_view full_name) {
    full_name = full_name.substr(0, full_name.find('@'));
    const size_t slash = full_name.rfind('/');
    return full_name.substr(0, full_name.find(':', slash == full_name.npos ? 0 : slash));
}

}  // namespace callgate
