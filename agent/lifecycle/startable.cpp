#include "lifecycle/startable.h"

#include <signal.h>

#include <cerrno>
#include <string>

#include "audit/arguments_hash.h"
#include "audit/audit_file.h"
#include "base/directory.h"
#include "base/trusted_path.h"
#include "control/listener.h"
#include "kernel/scope_programs.h"
#include "lifecycle/state_directory.h"
#include "lifecycle/webhook_start.h"
#include "store/database.h"
#include "store/database_file.h"

namespace callgate {

Status check_paths(const Config& config) {
    for (const std::string* path : {&config.audit_file, &config.control_socket, &config.state_directory})
        if (!path->starts_with('/')) return Error::invalid(*path, "give the whole path, beginning with \"/\"");
    return {};
}

Status check_startable(const Config& config) {
    TRY_VOID(check_paths(config));
    TRY_VOID(check_scope(config.scope));
    for (const pid_t pid : config.scope.trees)
        if (kill(pid, 0) && errno == ESRCH) return Error::invalid("scope: process " + std::to_string(pid), "does not exist");
    TRY_VOID(check_state_directory(config.state_directory));
    TRY_VOID(check_trusted_place(config.audit_file, Writers::of_others));
    TRY_VOID(check_trusted_place(config.control_socket, Writers::of_group_and_others));
    const std::string secret = config.state_directory + "/audit.secret";
    for (const std::string& file : {config.audit_file, secret, config.control_socket}) TRY_VOID(check_directory_of(file));
    TRY_VOID(ArgumentsHash::check(secret));
    TRY_VOID(AuditFile::check(config.audit_file));
    TRY_VOID(ControlListener::check(config.control_socket));
    TRY_VOID(check_database_file(database_path(config.state_directory)));
    return check_webhook(config);
}

}  // namespace callgate
