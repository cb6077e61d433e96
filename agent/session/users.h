// Names of users, from the password database (getpwuid_r). Looked up at most once a minute for each user:
// behind the database may be a directory server.
#pragma once
#include <sys/types.h>

#include <string>

namespace callgate {

// The user's name, or the number in decimal where there is none.
std::string user_name(uid_t uid);

}  // namespace callgate
