// callgate tail: the audit feed, readable or as it is.
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "audit/safe_text.h"
#include "cli.h"
#include "cli_follow.h"

namespace callgate {
namespace {

using nlohmann::json;

constexpr int kLookAgainMs = 200;

// "2026-11-03T08:15:30.123456789Z" -> "09:15:30.123" in local time
std::string clock_time(const std::string& text) {
    struct tm utc = {};
    const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
    if (rest == nullptr) return text;
    const time_t seconds = timegm(&utc);
    struct tm local;
    localtime_r(&seconds, &local);
    char shown_time[16];
    strftime(shown_time, sizeof(shown_time), "%H:%M:%S", &local);
    return shown_time + std::string(rest, strnlen(rest, 4));
}

const char* colour_of(const std::string& word) {
    if (word == "allow") return "\033[32m";
    if (word == "deny" || word == "session_blind" || word == "gap") return "\033[31m";
    if (word == "refuse") return "\033[35m";
    if (word == "would_deny" || word == "policy_problem") return "\033[33m";
    return "\033[2m";
}

std::string short_session(const json& record) {
    constexpr size_t kShownMax = 10;
    std::string session = shown(member(record, "session"));
    // Ids sort by time, so they differ at their end.
    return session.size() > kShownMax ? session.substr(session.size() - kShownMax) : session;
}

void append_word(std::string& line, const std::string& word) {
    if (!word.empty()) line += "  " + word;
}

void append_message(std::string& line, const json& record) {
    append_word(line, shown(member(record, "direction")));
    std::string what = shown(member(record, "method"));
    for (const char* key : {"tool", "name", "uri"}) {
        const std::string text = shown(member(record, key));
        if (!text.empty()) what += (what.empty() ? "" : " ") + text;
    }
    if (what.empty()) what = shown(member(record, "kind"));
    append_word(line, what);
    for (const char* key : {"reason", "rule", "refusal", "outcome"}) append_word(line, shown(member(record, key)));
}

std::string who(const json& by) {
    const std::string user = shown(member(by, "user")), login = shown(member(by, "login"));
    return login.empty() || login == user ? user : user + " (" + login + ")";
}

// "ci, dev": of a list its texts, of an object its keys.
std::string names_in(const json& value) {
    std::string names;
    for (const auto& [key, each] : value.items()) {
        names += (names.empty() ? "" : ", ") + (value.is_object() ? terminal_text(key) : shown(each));
    }
    return names;
}

// What was done, to what, and by whom; then why.
void append_event(std::string& line, const std::string& type, const json& record) {
    const bool is_of_policies = type.starts_with("policy_") || type.starts_with("grants_");
    if (type.starts_with("approval_") || type.starts_with("pin_") || type.starts_with("counters_") || is_of_policies) {
        if (const std::string method = shown(member(record, "method")); method != "tools/call") append_word(line, method);
        for (const char* key : {"tool", "approval", "policy", "pin_server"}) append_word(line, shown(member(record, key)));
        for (const char* key : {"tools", "policies"}) {
            if (member(record, key).is_structured()) append_word(line, names_in(member(record, key)));
        }
        if (const std::string grant = shown(member(record, "grant")); !grant.empty()) append_word(line, "for " + grant);
        if (const json& by = member(record, "decided_by"); by.is_object()) append_word(line, "by " + who(by));
        if (const std::string count = shown(member(record, "count")); !count.empty()) append_word(line, "count " + count);
        if (const std::string revision = shown(member(record, "revision")); !revision.empty())
            append_word(line, "revision " + revision);
    }
    for (const char* key : {"reason", "remark", "problem", "lost", "cause"}) {
        append_word(line, shown(member(record, key)));
    }
}

std::string readable(const std::string& text, bool is_coloured) {
    const json record = json::parse(text, nullptr, false);
    if (!record.is_object()) return "?  " + terminal_text(text);
    const std::string type = shown(member(record, "type"));
    const bool is_message = type == "message";
    const std::string word = is_message ? shown(member(record, "decision")) : type;
    std::string line = clock_time(shown(member(record, "time"))) + "  ";
    const std::string padding(word.size() < 10 ? 10 - word.size() : 0, ' ');
    line += (is_coloured ? colour_of(word) + word + "\033[0m" : word) + padding;
    append_word(line, short_session(record));
    if (const json& server = member(record, "server"); server.is_object()) {
        append_word(line, client_name(member(record, "peer")) + " -> " + server_name(server));
        if (const std::string listen = shown(member(server, "listen")); !listen.empty()) line += " at " + listen;
    }
    if (is_message) {
        append_message(line, record);
    } else {
        append_event(line, type, record);
    }
    return line;
}

// Where the records are: as given, or as the agent says.
bool find_audit_file(const TailOptions& options, std::string& path, int& exit_code) {
    path = options.audit_file;
    if (!path.empty()) return true;
    json status;
    if (!ask_agent(options.control_socket, "status", status, exit_code)) return false;
    const json& file = member(member(status, "audit"), "file");
    if (file.is_string()) path = file.get<std::string>();
    if (!path.empty()) return true;
    print_error("the agent does not say where its audit file is; name it with --audit FILE");
    exit_code = kExitInternal;
    return false;
}

int fail(const Error& error) {
    const bool is_permission = error.kind == ErrorKind::system && (error.code == EACCES || error.code == EPERM);
    print_error(error.text() + (is_permission ? "; the audit file is readable by the agent's user and root only"
                                              : "; name the audit file with --audit FILE"));
    return is_permission ? kExitNotPermitted : kExitNo;
}

bool print_lines(const std::vector<std::string>& lines, const TailOptions& options, bool is_coloured) {
    for (const std::string& text : lines) {
        std::string line;
        if (options.as_json) {
            line = text;
        } else {
            line = readable(text, is_coloured);
        }
        line += '\n';
        if (fwrite(line.data(), 1, line.size(), stdout) != line.size()) return false;
    }
    return fflush(stdout) == 0;
}

}  // namespace

int tail_audit(const TailOptions& options) {
    std::string path;
    int exit_code = kExitDone;
    if (!find_audit_file(options, path, exit_code)) return exit_code;
    Result<FollowedFile> file = FollowedFile::open(path, options.last_lines);
    if (!file.ok()) return fail(file.error());
    const bool is_coloured = ::isatty(STDOUT_FILENO) == 1;
    while (true) {
        const Result<std::vector<std::string>> lines = file->next();
        if (!lines.ok()) return fail(lines.error());
        if (!print_lines(lines.value(), options, is_coloured)) return kExitDone;  // nobody reads any more
        if (!lines.value().empty()) continue;
        if (!options.follow) return kExitDone;
        ::poll(nullptr, 0, kLookAgainMs);
    }
}

}  // namespace callgate
