// The file of a Database, before SQLite has it.
#pragma once
#include <string>

#include "base/result.h"

namespace callgate {

// Refuses what is there and is no file, or a link, or can be read by others than its owner. It is not opened, so that an agent
// that has it open may ask: POSIX drops all of a process's locks on a file with any descriptor of it that the process closes.
Status check_database_file(const std::string& path);
// That, and makes it where there is none, 0600: SQLite would make it with the modes of the umask.
Status make_database_file(const std::string& path);

}  // namespace callgate
