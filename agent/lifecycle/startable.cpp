#include "lifecycle/startable.h"

#include <signal.h>

#include <cerrno>
#include <string>

#include "audit/audit_file.h"
#include "lifecycle/state_directory.h"

namespace callgate {

Status check_paths(const Config& config) {
    for (const std::string* path : {&config.audit_file, &config.control_socket, &config.state_directory})
        if (!path->starts_with('/')) return Error::invalid(*path, "give the whole path, beginning with \"/\"");
    return {};
}

Status check_startable(const Config& config) {
    TRY_VOID(check_paths(config));
    for (const pid_t pid : config.scope.trees)
        if (kill(pid, 0) && errno == ESRCH) return Error::invalid("scope: process " + std::to_string(pid), "does not exist");
    TRY_VOID(check_state_directory(config.state_directory));
    return AuditFile::check(config.audit_file);
}

}  // namespace callgate
