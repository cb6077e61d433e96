// Names of users and groups, from the system's databases (getpwuid_r, getgrnam_r). Looked up at most once a minute for each:
// behind a database may be a directory server.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>

namespace callgate {

// The user's name, or the number in decimal where there is none.
std::string user_name(uid_t uid);
// The number of a group that is named, or written as a number; nothing where this host has no such group.
std::optional<gid_t> group_id(const std::string& name);

}  // namespace callgate
