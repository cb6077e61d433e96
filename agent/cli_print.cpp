#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "audit/safe_text.h"
#include "cli.h"

namespace callgate {
namespace {

using nlohmann::json;

constexpr int kAnswerTimeoutMs = 10000;

int exit_code_of(const Error& error) {
    if (error.kind == ErrorKind::refused && error.what.starts_with("not permitted")) return kExitNotPermitted;
    if (error.kind == ErrorKind::refused || error.kind == ErrorKind::invalid_input) return kExitInternal;
    if (error.kind == ErrorKind::system && (error.code == EACCES || error.code == EPERM)) return kExitNotPermitted;
    return kExitNotRunning;
}

const char* what_to_do(int exit_code) {
    if (exit_code == kExitNotPermitted) return "; run this as root or as the agent's user";
    if (exit_code == kExitNotRunning) {
        return "; is the agent running? Start it with \"callgate run --config /etc/callgate\", or name its "
               "socket "
               "with --control";
    }
    return "";
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

void print_error(std::string_view text) {
    const std::string line = "callgate: " + terminal_text(text) + "\n";
    fwrite(line.data(), 1, line.size(), stderr);
}

void print_json(const json& value) {
    const std::string text = value.dump(2, ' ', true, json::error_handler_t::replace) + "\n";
    fwrite(text.data(), 1, text.size(), stdout);
}

bool ask_agent(const std::string& control_socket, std::string_view verb, json& result, int& exit_code) {
    return send_agent(control_socket, json{{"verb", verb}}, result, exit_code);
}

bool send_agent(const std::string& control_socket, const json& request, json& result, int& exit_code) {
    Result<json> answer = control_request(control_socket, request, kAnswerTimeoutMs);
    if (!answer.ok()) {
        exit_code = exit_code_of(answer.error());
        print_error(answer.error().text() + what_to_do(exit_code));
        return false;
    }
    result = std::move(answer).value();
    // What the agent will not do is no failure of it, and the same when it is asked again.
    if (const json& refused = member(result, "refused"); !refused.is_null()) {
        exit_code = kExitNo;
        print_error(shown(refused));
        return false;
    }
    const json& problem = member(result, "error");
    if (!problem.is_null()) {
        exit_code = kExitInternal;
        print_error("the agent answers: " + shown(problem) + "; try again");
        return false;
    }
    return true;
}

int confirm(bool yes, const std::string& question, const std::string& unattended) {
    if (yes) return kExitDone;
    if (!::isatty(STDIN_FILENO)) {
        print_error(unattended + "; confirm it with --yes");
        return kExitUsage;
    }
    printf("%s [y/N] ", question.c_str());
    fflush(stdout);
    std::string answer;
    std::getline(std::cin, answer);
    return answer == "y" || answer == "Y" || answer == "yes" ? kExitDone : kExitNo;
}

std::optional<pid_t> pid_of_agent(const json& status) {
    const json& pid = member(status, "pid");
    return pid.is_number_integer() ? std::optional(pid.get<pid_t>()) : std::nullopt;
}

const json& member(const json& value, std::string_view key) {
    static const json kNull;
    if (!value.is_object()) return kNull;
    const auto found = value.find(key);
    return found == value.end() ? kNull : *found;
}

std::string shown(const json& value) {
    if (value.is_null()) return "";
    if (value.is_string()) return terminal_text(value.get_ref<const std::string&>());
    return value.dump(-1, ' ', true, json::error_handler_t::replace);
}

std::string server_name(const json& server) {
    // As it was (identity may nest the package) or as a plain name.
    const json& package = member(server, "package");
    std::string name = shown(package.is_object() ? member(package, "name") : package);
    if (name.empty()) name = shown(member(server, "command"));
    if (name.empty()) name = base_name(shown(member(server, "exe")));
    constexpr size_t kShownMax = 40;
    if (name.size() > kShownMax) name = name.substr(0, kShownMax - 3) + "...";
    return name.empty() ? "?" : name;
}

std::string client_name(const json& peer) {
    const std::string name = base_name(shown(member(peer, "exe")));
    return name.empty() ? "?" : name;
}

}  // namespace callgate
