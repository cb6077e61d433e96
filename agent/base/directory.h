// What is there and what is not; and the directory that a file of the agent's lies in: it is made where it is absent, and what is
// above it is not.
#pragma once
#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace callgate {

// Nothing is there, or a link that leads to nothing.
bool is_absent(const std::string& path);
// Of "/run/callgate/control.sock" "/run/callgate"; "." where there is none, "/" of what lies there.
std::string directory_of(const std::string& file);
// Makes it where it is absent.
Status make_directory_of(const std::string& file, mode_t mode);
// What make_directory_of() would say, and what is no directory is refused. Nothing is made.
Status check_directory_of(const std::string& file);

}  // namespace callgate
