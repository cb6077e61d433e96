#include "approval/parties.h"

#include "base/limits.h"
#include "session/cgroup.h"

namespace callgate {
namespace {

constexpr size_t kContainerDigitsShown = 12;  // as tools of containers do

// Of what others may make as long as they like.
std::string cut(std::string_view text) {
    std::string made(text.substr(0, kNameBytesMax));
    if (made.size() < text.size()) made += "…";
    return made;
}

std::string user_of(const ProcessFacts& process) { return "user " + process.user + " (uid " + std::to_string(process.uid) + ")"; }

}  // namespace

std::string server_name(const Caller& caller) {
    if (caller.server_identity == nullptr) return std::string(caller.server);
    const ServerIdentity& server = *caller.server_identity;
    if (!server.package.name.empty()) return server.package.name;
    return cut(server.command.empty() ? server.process.exe : server.command);
}

std::string server_process(const Caller& caller) {
    if (caller.server_identity == nullptr || caller.server_identity->process.pid == 0) return "";
    const ServerIdentity& server = *caller.server_identity;
    std::string text = user_of(server.process) + ", " + server.process.exe;
    if (!server.process.cwd.empty()) text += ", in " + server.process.cwd;
    for (const std::string& address : server.listens) text += ", at " + address;
    return server.command.empty() ? text : text + ": " + cut(server.command);
}

std::string client_process(const Caller& caller) {
    if (caller.peer == nullptr || caller.peer->process.pid == 0) return "";
    const ProcessFacts& process = caller.peer->process;
    std::string text = user_of(process) + ", pid " + std::to_string(process.pid);
    if (const std::string unit = unit_of(process.cgroup); !unit.empty()) text += ", unit " + unit;
    if (const std::string_view container = container_of(process.cgroup); !container.empty()) {
        text.append(", container ").append(container.substr(0, kContainerDigitsShown));
    }
    return text + ", " + process.exe;
}

std::string client_claim(const Caller& caller) { return cut(caller.client_name); }

}  // namespace callgate
