// callgate doctor: what this kernel allows, which mechanism is chosen, and what will therefore be blind.
#include <sys/timex.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "app_parts.h"
#include "audit/safe_text.h"
#include "cli.h"
#include "fetch/curl_library.h"
#include "io/ring.h"
#include "kernel/doctor.h"
#include "kernel/scope_cgroups.h"
#include "lifecycle/config.h"
#include "lifecycle/startable.h"
#include "policy/grant_store.h"
#include "policy/store.h"

namespace callgate {
namespace {

constexpr int kAnswerTimeoutMs = 2000;

const char* state_name(CheckState state) {
    switch (state) {
        case CheckState::ok: return "ok";
        case CheckState::degraded: return "degraded";
        case CheckState::failed: return "failed";
    }
    return "";
}

// What it needs, the agent loads when it first tells somebody; at its start where callgate.json says whom.
Check check_webhooks(bool is_needed) {
    const auto curl = CurlLibrary::load();
    if (curl) {
        const char* version = curl.value()->version_info(CURLVERSION_NOW)->version;
        return {"webhooks", CheckState::ok, std::string("libcurl ") + version, {}};
    }
    return {"webhooks", is_needed ? CheckState::failed : CheckState::degraded, curl.error().text(),
            "install libcurl 7.85 or newer: webhooks, and \"callgate draft\" of a URL, need it"};
}

// By making one, as the agent does.
Check check_relay() {
    const auto ring = Ring::create();
    if (!ring) return {"io_uring", CheckState::failed, ring.error().text(), "epoll, in its place, is refused as well"};
    if (ring.value()->kind() == Ring::Kind::io_uring) return {"io_uring", CheckState::ok, ring.value()->features(), {}};
    return {"io_uring", CheckState::degraded, ring.value()->features(),
            "each message costs some system calls more; allow io_uring: sysctl kernel.io_uring_disabled=0 (or 1,"
            " for root), Linux 5.19 or newer, and no seccomp profile of a container engine that refuses it"};
}

// By it times are told, and windows of a day begin. The kernel says whether somebody keeps it right (adjtimex(2)).
Check check_clock() {
    constexpr time_t kWritten = 1'735'689'600;  // 2025-01-01: no agent is older
    timespec now{};
    tm parts{};
    char text[32] = {};
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (now.tv_sec < kWritten)
        return {"clock", CheckState::failed, std::string(text) + ": it has not been set",
                "set it, and keep it right with chrony or systemd-timesyncd: windows and audit records go by it"};
    timex kept{};
    if (adjtimex(&kept) >= 0 && !(kept.status & STA_UNSYNC))
        return {"clock", CheckState::ok, std::string(text) + ", synchronised", {}};
    return {
        "clock", CheckState::degraded, std::string(text) + ", not synchronised",
        "keep it right with chrony or systemd-timesyncd (a virtual machine's host may do so unseen): audit records carry its time"};
}

std::string first_of(const std::vector<PolicyProblem>& problems) {
    const std::string more = problems.size() > 1 ? " (and " + std::to_string(problems.size() - 1) + " more)" : "";
    return problems.front().text() + more;
}

// What an agent would start with. In the default directory there may be nothing yet.
void check_configuration(const std::string& directory, std::vector<Check>& checks) {
    const std::string remedy = "mend it; \"callgate check FILE\" says whether it is good";
    std::vector<PolicyProblem> problems;
    const Result<Config> config = load_config(directory, problems);
    checks.push_back(check_webhooks(config && !config.value().webhook_url.empty()));
    if (!config) {
        const bool is_default = directory == DoctorOptions().config_directory;
        const bool is_absent = is_default && config.error().kind == ErrorKind::system && config.error().code == ENOENT;
        checks.push_back({"configuration", is_absent ? CheckState::degraded : CheckState::failed, config.error().text(),
                          "name the directory that holds callgate.json with --config; a file with {} in it will do"});
        return;
    }
    const Status startable = problems.empty() ? check_startable(config.value()) : Status();
    if (!startable)
        checks.push_back({"configuration", CheckState::failed, startable.error().text(), "the agent does not start: mend it"});
    else
        checks.push_back(problems.empty() ? Check{"configuration", CheckState::ok, directory + "/callgate.json", {}}
                                          : Check{"configuration", CheckState::failed, first_of(problems), remedy});
    if (const std::string absent = absent_cgroups(config.value().scope.cgroups); startable && !absent.empty())
        checks.push_back({"scope", CheckState::degraded, absent, "name cgroups that are there, or wait for them"});
    Result<PolicyStore> policies = PolicyStore::load(directory + "/policies.d");
    if (!policies) return checks.push_back({"policies", CheckState::failed, policies.error().text(), "the agent does not start"});
    problems = policies->problems();
    const GrantStore grants = GrantStore::load(directory);
    problems.insert(problems.end(), grants.problems.begin(), grants.problems.end());
    const std::string number = std::to_string(policies->policies().size()) + " in " + directory + "/policies.d";
    checks.push_back(problems.empty() ? Check{"policies", CheckState::ok, number, {}}
                                      : Check{"policies", CheckState::degraded, first_of(problems), remedy});
}

// None where none answers.
std::optional<pid_t> running_agent(const DoctorOptions& options) {
    std::vector<PolicyProblem> problems;
    auto loaded = load_config(options.config_directory, problems);
    const Config config = loaded ? *loaded : Config();
    const std::string& socket = options.control_socket.empty() ? config.control_socket : options.control_socket;
    const auto status = control_request(socket, nlohmann::json{{"verb", "status"}}, kAnswerTimeoutMs);
    return status ? pid_of_agent(status.value()) : std::nullopt;
}

// The host, and what the agent may have on it.
DoctorReport examine(std::optional<pid_t> agent) {
    DoctorReport report = examine_host(check_relay());
    auto limits = limit_checks(agent);
    if (limits)
        report.checks.insert(report.checks.end(), limits->begin(), limits->end());
    else
        report.checks.push_back(
            {"limits", CheckState::failed, limits.error().text(), "run as root, with no seccomp profile that refuses setrlimit"});
    return report;
}

nlohmann::json report_json(const DoctorReport& report) {
    nlohmann::json checks = nlohmann::json::array();
    for (const Check& check : report.checks) {
        checks.push_back(
            {{"name", check.name}, {"state", state_name(check.state)}, {"detail", check.detail}, {"remedy", check.remedy}});
    }
    return {{"checks", checks}, {"mechanism", report.mechanism}, {"blind", report.blind}};
}

void print_list(const char* title, const std::vector<std::string>& lines) {
    if (lines.empty()) return;
    printf("%s\n", title);
    for (const std::string& line : lines) printf("  %s\n", terminal_text(line).c_str());
}

void print_report(const DoctorReport& report) {
    for (const Check& check : report.checks) {
        printf("%-9s %s: %s\n", state_name(check.state), terminal_text(check.name).c_str(), terminal_text(check.detail).c_str());
        if (!check.remedy.empty()) printf("          -> %s\n", terminal_text(check.remedy).c_str());
    }
    print_list("mechanism", report.mechanism);
    print_list("blind on this host", report.blind);
}

}  // namespace

nlohmann::json doctor_json(std::optional<pid_t> agent) { return report_json(examine(agent)); }

int print_doctor(const DoctorOptions& options) {
    DoctorReport report = examine(running_agent(options));
    report.checks.push_back(check_clock());
    check_configuration(options.config_directory, report.checks);
    if (options.as_json) {
        print_json(report_json(report));
    } else {
        print_report(report);
    }
    const bool has_failed = std::any_of(report.checks.begin(), report.checks.end(),
                                        [](const Check& check) { return check.state == CheckState::failed; });
    return has_failed ? kExitNo : kExitDone;
}

}  // namespace callgate
