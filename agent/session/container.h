// Container: what the container runtime itself wrote down about a container, on disk, where only root can write.
//
//   read_container(fs, "4f…e2")   ->  docker, name "notes", image "acme/notes-mcp:1.4"
//
// Read are, in this order (all formats are those of the runtimes' own files, none is a documented interface):
// - Docker: /var/lib/docker/containers/ID/config.v2.json: Name, Config.Image
// - containerd, under Kubernetes: /run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json, the OCI
//   configuration: annotations io.kubernetes.cri.image-name, .container-name
// - CRI-O: /var/lib/containers/storage/overlay-containers/ID/userdata/config.json: annotations
//   io.kubernetes.cri-o.ImageName, io.kubernetes.container.name
// - Podman: /var/lib/containers/storage/overlay-containers/containers.json and volatile-containers.json: names, and in the
//   JSON text `metadata` image-name
//
// Containers of users (rootless) are not looked up: what is written about them their owner can change.
#pragma once
#include <string>
#include <string_view>

#include "session/root_fs.h"

namespace callgate {

struct Container {
    std::string runtime;  // "docker", "containerd", "cri-o", "podman"; "" where nothing was found
    std::string name;
    std::string image;  // in full, see full_image_name()
};

// `fs`: the host's root. `id`: 64 hex digits.
Container read_container(const RootFs& fs, std::string_view id);

// The image of the container that a cgroup belongs to; "" where it is none, is not known, or may be a user's own: its name
// lies below a directory that root does not own. Remembered for a while.
std::string image_of_cgroup(const std::string& cgroup);

// With its tag: "nginx" -> "nginx:latest".
std::string full_image_name(std::string_view name);
// "host:5000/x:1" -> "host:5000"; "" where the name leaves it out.
std::string_view registry_of(std::string_view name);
// The name without its tag and digest.
std::string_view untagged(std::string_view full_name);

}  // namespace callgate
