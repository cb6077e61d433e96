// callgate approvals list, show, approve, deny: what waits for a human, and his decision. Arguments are a caller's: they are
// shown escaped.
#include <cstdio>

#include "cli.h"

namespace callgate {
namespace {

using nlohmann::json;

std::string text(const json& record, std::string_view key) { return shown(member(record, key)); }

std::string who(const json& by) {
    const std::string user = text(by, "user"), login = text(by, "login");
    return login.empty() || login == user ? user : user + " (logged in as " + login + ")";
}

std::string call_name(const json& record) {
    const std::string method = text(record, "method"), tool = text(record, "tool");
    return method == "tools/call" ? tool : tool.empty() ? method : method + " " + tool;
}

// The beginning of what was sent, and where the rest is.
std::string excerpt(const json& record, const std::string& what) {
    const json& begin = member(record, what + "_begin");
    const json& bytes = member(record, what + "_bytes");
    const bool is_cut = begin.is_string() && bytes.is_number() && bytes.get<size_t>() > begin.get_ref<const std::string&>().size();
    return shown(begin) + (is_cut ? " … (" + shown(bytes) + " bytes: callgate approvals show " + text(record, "id") + ")" : "");
}

void print_row(const json& record) {
    printf("%-10s  %-8s  until %s  %s: %s\n", text(record, "id").c_str(), text(record, "state").c_str(), text(record, "expires_at").c_str(),
           text(record, "policy").c_str(), call_name(record).c_str());
    printf("            %s\n", excerpt(record, "arguments").c_str());
    if (member(record, "other_params_begin").is_string()) printf("            with %s\n", excerpt(record, "other_params").c_str());
    printf("            asked by %s\n", text(record, "client").empty() ? text(record, "grant").c_str() : text(record, "client").c_str());
}

void print_line(const char* name, const std::string& value) {
    if (!value.empty()) printf("%-14s %s\n", name, value.c_str());
}

void print_record(const json& record) {
    print_line("approval", text(record, "id"));
    print_line("state", text(record, "state"));
    print_line("call", call_name(record));
    print_line("server", text(record, "server"));
    print_line("runs as", text(record, "server_process"));
    print_line("client", text(record, "client"));
    print_line("grant", text(record, "grant"));
    print_line("session", text(record, "session"));
    print_line("policy", text(record, "policy") + " " + text(record, "policy_revision"));
    print_line("rule", text(record, "rule"));
    print_line("reason", text(record, "reason"));
    print_line("requested at", text(record, "requested_at"));
    print_line("expires at", text(record, "expires_at"));
    if (const json& by = member(record, "decided_by"); by.is_object()) print_line("decided by", who(by) + " at " + text(record, "decided_at"));
    print_line("because", text(record, "decision_reason"));
    print_line("for all until", text(record, "good_for_all_until"));
    print_line("used at", text(record, "used_at"));
    print_line("arguments", text(record, "arguments"));
    print_line("beside them", text(record, "other_params"));
}

// False where the agent has no such request; what it says then is printed.
bool ask(const ApprovalOptions& options, const json& request, json& record, int& exit_code) {
    json answer;
    if (!send_agent(options.control_socket, request, answer, exit_code)) return false;
    if (const json& refused = member(answer, "refused"); !refused.is_null()) {
        print_error(shown(refused));
        exit_code = kExitNo;
        return false;
    }
    record = member(answer, "approval");
    return true;
}

}  // namespace

int list_approvals(const ApprovalOptions& options) {
    json answer;
    int exit_code = kExitDone;
    if (!ask_agent(options.control_socket, "approvals", answer, exit_code)) return exit_code;
    if (options.as_json) {
        print_json(answer);
        return kExitDone;
    }
    const json& list = member(answer, "approvals");
    if (!list.is_array() || list.empty()) printf("no approvals\n");
    if (list.is_array()) {
        for (const json& record : list) print_row(record);
    }
    return kExitDone;
}

int show_approval(const ApprovalOptions& options) {
    json record;
    int exit_code = kExitDone;
    if (!ask(options, {{"verb", "approval"}, {"id", options.id}}, record, exit_code)) return exit_code;
    options.as_json ? print_json(record) : print_record(record);
    return kExitDone;
}

int decide_approval(const ApprovalOptions& options, bool approves) {
    json record;
    int exit_code = kExitDone;
    const json request = {{"verb", "approval_decide"}, {"id", options.id}, {"decision", approves ? "approve" : "deny"}, {"reason", options.reason}};
    if (!ask(options, request, record, exit_code)) return exit_code;
    if (options.as_json) {
        print_json(record);
        return kExitDone;
    }
    printf("%s %s: %s %s, by %s", text(record, "id").c_str(), text(record, "state").c_str(), call_name(record).c_str(),
           text(record, "arguments").c_str(), who(member(record, "decided_by")).c_str());
    printf(approves ? "; it is let through once, if it is repeated before %s\n" : "; until %s\n", text(record, "expires_at").c_str());
    return kExitDone;
}

}  // namespace callgate
