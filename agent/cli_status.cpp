// callgate status, callgate sessions
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli.h"

namespace callgate {
namespace {

using nlohmann::json;

// Seconds since the epoch, or text as it is.
std::string local_time(const json& value) {
    if (!value.is_number()) return shown(value);
    const time_t seconds = value.get<time_t>();
    struct tm local;
    char text[40];
    if (localtime_r(&seconds, &local) == nullptr) return "?";
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
    return text;
}

// {"hold_expired":1,"holds":4} -> "hold expired 1, holds 4"; names of the system's stay what they are: "CAP_BPF"
std::string listed(const json& value) {
    if (!value.is_object() && !value.is_array()) return shown(value);
    std::string text;
    for (const auto& [key, each] : value.items()) {
        if (!text.empty()) text += ", ";
        if (value.is_object()) {
            std::string words = shown(json(key));
            if (words.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string::npos)
                std::replace(words.begin(), words.end(), '_', ' ');
            text += words + " ";
        }
        const std::string inner = listed(each);
        text += inner.empty() ? "-" : inner;
    }
    return text;
}

void print_line(const char* label, const std::string& text) {
    if (!text.empty()) printf("%-10s %s\n", label, text.c_str());
}

std::string frames_text(const json& frames) {
    if (!frames.is_object()) return "";
    auto count = [&frames](const char* key) {
        const std::string text = shown(member(frames, key));
        return text.empty() ? std::string("0") : text;
    };
    return "in " + count("in") + " = forwarded " + count("forwarded") + " + denied " + count("denied") + " + refused " +
           count("refused") + " + held " + count("held") + "; blank lines dropped " + count("dropped_blank");
}

void print_policies(const json& policies) {
    if (!policies.is_array()) return;
    if (policies.empty()) print_line("policies", "none: no server is governed");
    for (const json& policy : policies) {
        print_line("policy", shown(member(policy, "name")) + "  revision " + shown(member(policy, "revision")) + "  " +
                                 shown(member(policy, "mode")));
    }
}

void print_listeners(const json& listeners) {
    if (!listeners.is_array()) return;
    for (const json& listener : listeners) {
        print_line("listener", shown(member(listener, "listen")) + "  " + server_name(member(listener, "server")) + "  policy " +
                                   shown(member(listener, "policy")) + "  connections " + shown(member(listener, "connections")));
    }
}

// "ci, dev  revision 0123456789abcdef"; nothing where there is no grants.json.
void print_grants(const json& grants) {
    const std::string revision = shown(member(grants, "revision"));
    if (revision.empty()) return;
    const std::string others = member(grants, "denies_others") == true ? "  others are denied" : "";
    print_line("grants", listed(member(grants, "names")) + "  revision " + revision + others);
}

void print_readable(const json& status) {
    printf("callgate %s, process %s, since %s\n", shown(member(status, "version")).c_str(), shown(member(status, "pid")).c_str(),
           local_time(member(status, "started")).c_str());
    print_line("config", shown(member(status, "config")));
    print_line("scope", listed(member(status, "scope")));
    print_line("mechanism", listed(member(status, "mechanism")));
    print_line("threads", listed(member(status, "threads")));
    print_line("capabilities", listed(member(status, "capabilities")));
    print_line("sessions", listed(member(status, "sessions")));
    print_line("frames", frames_text(member(status, "frames")));
    print_line("http", listed(member(status, "http")));
    print_listeners(member(status, "listeners"));
    print_line("takeover", listed(member(status, "takeover")));
    print_line("exits", listed(member(status, "exits")));
    print_line("kernel", listed(member(status, "kernel")));
    print_line("audit", listed(member(status, "audit")));
    print_line("pins", listed(member(status, "pins")));
    print_line("counters", listed(member(status, "counters")));
    print_line("approvals", listed(member(status, "approvals")));
    print_policies(member(status, "policies"));
    print_grants(member(status, "grants"));
    const json& problems = member(status, "problems");
    if (problems.is_array()) {
        for (const json& problem : problems) print_line("PROBLEM", shown(problem));
    }
}

// One whose policy only looks on is not enforced, whatever could be.
std::string state_text(const json& session) {
    const std::string state = shown(member(session, "state")), mode = shown(member(session, "mode"));
    return state == "enforced" && !mode.empty() && mode != "enforce" ? mode : state;
}

void print_session(const json& session) {
    const json& frames = member(session, "frames");
    printf("%-28s %-9s %s -> %s", shown(member(session, "session")).c_str(), state_text(session).c_str(),
           client_name(member(session, "peer")).c_str(), server_name(member(session, "server")).c_str());
    printf("  pid %s", shown(member(member(session, "server"), "pid")).c_str());
    const std::string listen = shown(member(session, "listen"));
    if (!listen.empty()) printf("  listen %s", listen.c_str());
    const std::string policy = shown(member(session, "policy"));
    if (!policy.empty()) printf("  policy %s", policy.c_str());
    const std::string grant = shown(member(session, "grant"));
    if (!grant.empty()) printf("  grant %s", grant.c_str());
    if (frames.is_object()) {
        printf("  frames %s, denied %s", shown(member(frames, "in")).c_str(), shown(member(frames, "denied")).c_str());
    }
    const std::string reason = shown(member(session, "reason"));
    if (!reason.empty()) printf("  (%s)", reason.c_str());
    printf("\n");
}

}  // namespace

int print_status(const AskOptions& options) {
    json status;
    int exit_code = kExitDone;
    if (!ask_agent(options.control_socket, "status", status, exit_code)) return exit_code;
    if (options.as_json) {
        print_json(status);
    } else {
        print_readable(status);
    }
    return kExitDone;
}

int reload_policies(const AskOptions& options) {
    json loaded;
    int exit_code = kExitDone;
    if (!ask_agent(options.control_socket, "reload", loaded, exit_code)) return exit_code;
    const json& problems = member(loaded, "problems");
    const bool is_good = !problems.is_array() || problems.empty();
    if (options.as_json) {
        print_json(loaded);
    } else {
        print_policies(member(loaded, "policies"));
        print_grants(member(loaded, "grants"));
        if (!is_good) {
            for (const json& problem : problems) print_line("PROBLEM", shown(problem));
        }
    }
    return is_good ? kExitDone : kExitNo;
}

int print_sessions(const AskOptions& options) {
    json sessions;
    int exit_code = kExitDone;
    if (!ask_agent(options.control_socket, "sessions", sessions, exit_code)) return exit_code;
    if (options.as_json) {
        print_json(sessions);
        return kExitDone;
    }
    if (!sessions.is_array() || sessions.empty()) printf("no sessions\n");
    if (sessions.is_array()) {
        for (const json& session : sessions) print_session(session);
    }
    return kExitDone;
}

}  // namespace callgate
