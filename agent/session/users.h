// Names of users and groups. Looked up at most once a minute for each: behind a database may be a directory server.
//
// They are the host's: those of the system's databases (getpwuid_r, …), or, where the agent has another root directory than the
// first process that it sees, as in a pod with the host's process ids, those of that one's /etc/passwd and /etc/group. An image
// knows other users by the same names and numbers. Users of a directory server (SSSD, LDAP) are numbers then.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "session/root_fs.h"

namespace callgate {

// The user's name, or the number in decimal where there is none.
std::string user_name(uid_t uid);
// Nothing where this host has no such user. Asked anew each time.
std::optional<uid_t> user_id(const std::string& name);
// The number of a group that is named, or written as a number; nothing where this host has no such group.
std::optional<gid_t> group_id(const std::string& name);

// By the files below a root directory alone, asked anew each time; nothing where they do not say it.
std::optional<std::string> user_name_in(const RootFs& root, uid_t uid);
std::optional<uid_t> user_id_in(const RootFs& root, std::string_view name);
std::optional<gid_t> group_id_in(const RootFs& root, std::string_view name);

}  // namespace callgate
