// callgate guard: see lifecycle/guard.h
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <optional>
#include <thread>
#include <utility>

#include "app_parts.h"
#include "base/capabilities.h"
#include "control/protocol.h"
#include "exit_codes.h"
#include "lifecycle/governed_until.h"
#include "lifecycle/guard.h"

namespace callgate {
namespace {

// Whether an agent answers by now is asked after so many rounds.
constexpr int kRoundsBetween = 10;
constexpr int kAnswerTimeoutMs = 1000;

bool agent_answers(const std::string& socket) {
    return static_cast<bool>(control_request(socket, nlohmann::json{{"verb", "status"}}, kAnswerTimeoutMs));
}

using FileId = std::pair<dev_t, ino_t>;

// Which file a path names, if any.
std::optional<FileId> file_at(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status)) return std::nullopt;
    return FileId{status.st_dev, status.st_ino};
}

}  // namespace

int run_guard(const RunOptions& options) {
    start_logging(options.verbose);
    if (geteuid() != 0) {
        spdlog::error("run as root: ending other users' servers needs it");
        return kExitNotPermitted;
    }
    if (const Status limited = limit_capabilities(kOfGuard); !limited) spdlog::warn("{}", limited.error().text());
    App app;
    app.options = options;
    // What keeps the agent from starting may be in callgate.json.
    if (int code = configure(app, Needed::scope)) {
        spdlog::error("servers that start are not kept out: it is not clear which");
        return code;
    }
    auto opened = AuditLog::open(app.config.audit_file, app.config.state_directory + "/audit.secret", app.config.audit_arguments);
    if (!opened) spdlog::error("nothing of it is in the audit log: {}", opened.error().text());
    auto audit = opened ? std::move(opened) : AuditLog::open_nowhere();
    if (!audit) return fail(exit_code_of(audit.error()), audit.error());
    Guard guard(app.config.scope, *app.policies, **audit, GovernedUntil::read(app.config.state_directory));
    spdlog::warn("no agent runs: servers whose policy fails closed are ended when they start, or listen already");
    if (const size_t ended = guard.end_listening()) spdlog::warn("ended {} that listened", ended);
    if (const size_t ended = guard.round()) spdlog::warn("ended {} that had started since the last agent", ended);
    sd_notify(0, "READY=1");
    std::optional<FileId> file;
    for (int round = 0;; ++round) {
        // Whoever rotates the file tells the agent, and there is none.
        const auto before = std::exchange(file, file_at(app.config.audit_file));
        if (!file || file != before) (*audit)->reopen();
        if (const size_t ended = guard.round()) spdlog::warn("ended {} that started while no agent ran", ended);
        if (round % kRoundsBetween == 0 && agent_answers(app.config.control_socket)) break;
        std::this_thread::sleep_for(Guard::kRoundInterval);
    }
    spdlog::info("an agent runs again");
    return kExitDone;
}

}  // namespace callgate
