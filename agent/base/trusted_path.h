// What the agent goes by is trusted as far as whoever could have written it: root and the agent's own user, nobody else.
//
//   check_owner("/etc/callgate/policies.d/x.json")     (of user 1000)  ->  "belongs to user 1000, who could change …"
//   check_trusted_path("/etc/callgate")           (mode 0777)     ->  "can be written by others than its owner, …"
//   check_trusted_path("/home/alice/callgate")                    ->  "/home/alice: belongs to user 1000, …"
#pragma once
#include <string>

#include "base/result.h"

namespace callgate {

// Each refuses with what to do. Of what is not there nothing is said: whoever opens it does.

// A link's own owner.
Status check_owner(const std::string& path);
// That, and who can write it by its mode; of links only the owner counts, and on a file system that is mounted read-only, for the
// host's first process too where it has the same there.
Status check_trusted(const std::string& path);
// What it leads to, and everything on the way there: the links, and the directories, of which one with the sticky bit (/tmp) may
// be written by others.
Status check_trusted_path(const std::string& path);
// Who may write a directory besides its owner, and is not trusted. Some distributions let a group of the system's write /var/log.
enum class Writers { of_others, of_group_and_others };
// The directory that a file lies in, with everything on the way there, not the file: others can neither remove nor replace it.
Status check_trusted_place(const std::string& path, Writers writers);

}  // namespace callgate
