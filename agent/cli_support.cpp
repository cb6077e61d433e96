// callgate support-bundle: what a report of a defect needs, in one file, without what is nobody's business.
//
// Numbers, but for those of users, true and false pass, and so do the texts of the keys in kPassing, but for paths in them; of
// any other text its length is written. So a new member shows nothing until somebody has thought about it.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/fd.h"
#include "cli.h"
#include "cli_follow.h"
#include "kernel/proc.h"
#include "lifecycle/config.h"
#include "lifecycle/session_json.h"

namespace callgate {
namespace {

using nlohmann::json;

constexpr int kAnswerTimeoutMs = 2000;
constexpr size_t kRecordsRead = 5000, kEventsShown = 200;

constexpr std::array<std::string_view, 41> kPassing = {
    // of the agent and the host
    "version", "state", "mechanism", "blind", "name", "detail", "remedy", "detect", "relay", "listeners", "features", "kernel",
    "machine", "system", "written", "limit", "soft", "hard", "mode", "error", "stopped",
    // of sessions and records
    "time", "started", "type", "id", "session", "transport", "direction", "kind", "decision", "refusal", "outcome", "policy",
    "policy_revision", "revision", "package", "package_version", "cause", "fail", "on_blind", "sha256"};

// Numbers of users, or lists of such.
constexpr std::array<std::string_view, 3> kUsers = {"uid", "login_uid", "users"};

// The kernel's own, the same on every host.
constexpr std::array<std::string_view, 2> kKnownPaths = {"/sys/kernel/", "/proc/sys/"};

// "write /srv/a b/audit.jsonl: ENOSPC" -> "write (path): ENOSPC". There may be spaces in a path; where it is not clear where one
// ends, the rest is left out.
std::string without_paths(std::string_view text) {
    std::string shown;
    for (size_t at = 0; at < text.size();) {
        const std::string_view rest = text.substr(at);
        const auto is_name = [&](size_t place) { return std::isalnum(static_cast<unsigned char>(text[place])) != 0; };
        const bool is_path = rest[0] == '/' && (at == 0 || !is_name(at - 1)) && rest.size() > 1 && rest[1] != ' ';
        const auto known = std::find_if(kKnownPaths.begin(), kKnownPaths.end(),
                                        [&](std::string_view each) { return is_path && rest.starts_with(each); });
        if (known != kKnownPaths.end()) {
            shown += *known;
            at += known->size();
        } else if (is_path) {
            shown += "(path)";
            at = std::min({text.find_first_of(",;)\"", at), text.find(": ", at), text.size()});
        } else {
            shown += rest[0];
            ++at;
        }
    }
    return shown;
}

class Redactor {
  public:
    json redacted(const json& value) { return redacted(value, How::hidden); }

  private:
    enum class How { hidden, passing, user };

    static How how(std::string_view key) {
        if (std::find(kUsers.begin(), kUsers.end(), key) != kUsers.end()) return How::user;
        return std::find(kPassing.begin(), kPassing.end(), key) != kPassing.end() ? How::passing : How::hidden;
    }
    json redacted(const json& value, How how_shown) {
        if (value.is_string()) {
            const auto& text = value.get_ref<const std::string&>();
            const bool passes = how_shown == How::passing || text.empty();
            return passes ? json(without_paths(text)) : json("(" + std::to_string(text.size()) + " bytes)");
        }
        if (value.is_number() && how_shown == How::user) return user(value);
        if (value.is_array()) {
            json list = json::array();
            for (const json& each : value) list.push_back(redacted(each, how_shown));
            return list;
        }
        if (!value.is_object()) return value;
        json object = json::object();
        for (const auto& [key, each] : value.items()) object[key] = redacted(each, how(key));
        return object;
    }
    // Who is the same one can be seen, and not who he is.
    std::string user(const json& uid) {
        if (uid == 0) return "root";
        return "user " + std::to_string(users_.try_emplace(uid.dump(), users_.size() + 1).first->second);
    }

    std::map<std::string, size_t> users_;
};

json host_json() {
    utsname name{};
    (void)uname(&name);
    json host = {{"kernel", name.release}, {"version", name.version}, {"machine", name.machine}};
    auto release = read_small_file("/etc/os-release");
    if (!release) return host;
    const size_t at = release->find("PRETTY_NAME=");
    if (at != std::string::npos) host["system"] = release->substr(at + 12, release->find('\n', at) - at - 12);
    return host;
}

json limits_of(std::optional<pid_t> agent) {
    if (!agent) return nullptr;
    json limits = json::array();
    auto text = read_small_file(proc_path(*agent, "limits"));
    for (size_t at = 0; text && at < text->size();) {
        const size_t end = std::min(text->find('\n', at), text->size());
        limits.push_back({{"limit", text->substr(at, end - at)}});
        at = end + 1;
    }
    std::error_code none;
    const auto open = std::filesystem::directory_iterator(proc_path(*agent, "fd"), none);
    return {{"limits", limits},
            {"descriptors", none ? -1 : std::distance(open, std::filesystem::directory_iterator{})},
            {"resident_kb", status_value(*agent, "VmRSS")},
            {"threads", status_value(*agent, "Threads")}};
}

// Names of files are texts of their owner's; those of policies are what everything else refers to.
json files_json(const std::string& directory, bool names_pass) {
    json list = json::array();
    std::error_code error;
    for (const auto& each : std::filesystem::directory_iterator(directory, error)) {
        struct stat status {};
        if (lstat(each.path().c_str(), &status)) continue;
        char mode[8];
        snprintf(mode, sizeof(mode), "%04o", status.st_mode & 07777);
        const std::string name = each.path().filename();
        list.push_back({{names_pass ? "name" : "file", name}, {"bytes", status.st_size}, {"mode", mode}, {"uid", status.st_uid}});
    }
    if (error) return {{"error", error.message()}};
    return list;
}

json policies_json(const std::string& directory) {
    auto store = PolicyStore::load(directory);
    if (!store) return {{"error", "cannot be read"}};
    json list = json::array();
    for (const auto& policy : store->policies())
        list.push_back({{"name", policy->name()},
                        {"revision", policy->revision()},
                        {"mode", mode_name(policy->mode())},
                        {"fail", policy->fail() == Fail::open ? "open" : "closed"},
                        {"on_blind", policy->on_blind() == OnBlind::kill ? "kill" : "allow"}});
    json problems = json::array();
    for (const PolicyProblem& problem : store->problems())
        problems.push_back({{"name", std::filesystem::path(problem.file).filename().string()},
                            {"line", problem.line},
                            {"column", problem.column}});
    return {{"files", files_json(directory, true)}, {"in_force", list}, {"problems", problems}};
}

// How many of which kind, and the last events; of messages nothing but that.
json audit_json(const std::string& path) {
    auto file = FollowedFile::open(path, kRecordsRead);
    if (!file) return {{"error", "cannot be read"}};
    std::map<std::string, size_t> counts;
    json events = json::array();
    for (;;) {
        auto lines = file->next();
        if (!lines || lines->empty()) break;
        for (const std::string& line : *lines) {
            const json record = json::parse(line, nullptr, false);
            if (!record.is_object()) continue;
            const std::string type = shown(member(record, "type"));
            ++counts[type == "message" ? "message " + shown(member(record, "decision")) : type];
            if (type == "message") continue;
            events.push_back(record);
            if (events.size() > kEventsShown) events.erase(events.begin());
        }
    }
    return {{"counts", counts}, {"events", events}};
}

json ask(const std::string& socket, const char* verb) {
    auto answer = control_request(socket, json{{"verb", verb}}, kAnswerTimeoutMs);
    return answer ? std::move(*answer) : json{{"stopped", "no agent answers"}};
}

Status write_new(const std::string& path, const std::string& text) {
    const Fd file = Fd::adopt(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return Error::system("open", path, errno);
    for (size_t at = 0; at < text.size();) {
        const ssize_t put = ::write(file.get(), text.data() + at, text.size() - at);
        if (put <= 0) return Error::system("write", path, put < 0 ? errno : EIO);
        at += static_cast<size_t>(put);
    }
    return {};
}

}  // namespace

int write_support_bundle(const SupportOptions& options) {
    std::vector<PolicyProblem> problems;
    auto loaded = load_config(options.config_directory, problems);
    const Config config = loaded ? *loaded : Config();
    const std::string socket = options.control_socket.empty() ? config.control_socket : options.control_socket;
    const json status = ask(socket, "status");
    const std::optional<pid_t> agent = pid_of_agent(status);
    const json& named = member(member(status, "audit"), "file");
    json bundle = {{"time", utc_now()},
                   {"version", CALLGATE_VERSION},
                   {"host", host_json()},
                   {"doctor", doctor_json(agent)},
                   {"agent", {{"status", status}, {"sessions", ask(socket, "sessions")}, {"process", limits_of(agent)}}},
                   {"configuration",
                    {{"is_good", loaded && problems.empty()},
                     {"audit_arguments", config.audit_arguments == AuditArguments::full},
                     {"denies_unnamed", config.deny_unnamed},
                     {"has_webhook", !config.webhook_url.empty()},
                     {"frame_bytes_max", config.frame_bytes_max}}},
                   {"policies", policies_json(options.config_directory + "/policies.d")},
                   {"state_files", files_json(config.state_directory, false)},
                   {"audit", audit_json(named.is_string() ? named.get<std::string>() : config.audit_file)}};
    const std::string text = Redactor().redacted(bundle).dump(2, ' ', true, json::error_handler_t::replace) + "\n";
    const std::string path =
        options.output.empty() ? "callgate-support-" + std::to_string(realtime_ns() / 1'000'000'000) + ".json" : options.output;
    if (const Status written = write_new(path, text); !written) {
        print_error(written.error().text() + "; name a file that is not there yet with --output");
        return kExitNo;
    }
    printf("%s: %zu bytes; no command lines, arguments, users, paths or addresses are in it; look before you send it\n",
           path.c_str(), text.size());
    return kExitDone;
}

}  // namespace callgate
