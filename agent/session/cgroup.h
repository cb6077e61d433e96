// What the path of a cgroup says of a process: its systemd unit, its container.
//
//   unit_of("/system.slice/ci.service/worker")                                       ->  "ci.service"
//   unit_of("/user.slice/user-1000.slice/user@1000.service/app.slice/notes.service") ->  "user@1000.service/notes.service"
//   container_of("/system.slice/docker-4f…e2.scope")                                 ->  "4f…e2"
//
// A user may make cgroups of any name below its own user@UID.service, so units there carry that in front: they cannot be
// taken for units of the system.
#pragma once
#include <string>
#include <string_view>

namespace callgate {

// "" where the path leads through no unit.
std::string unit_of(std::string_view cgroup);

// The id of the container that a cgroup belongs to: its last 64 hex digits in a row; "" where there is none.
std::string_view container_of(std::string_view cgroup);
// The same, but for what lies below a user's own manager, where that user may have made a cgroup of any name.
std::string_view system_container_of(std::string_view cgroup);

}  // namespace callgate
