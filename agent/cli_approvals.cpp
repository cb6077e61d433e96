// callgate approvals list, show, approve, deny, revoke: what waits for a human, and his decision. Arguments are a caller's: they
// are shown escaped.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/counted.h"
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
    const bool is_cut =
        begin.is_string() && bytes.is_number() && bytes.get<size_t>() > begin.get_ref<const std::string&>().size();
    return shown(begin) + (is_cut ? " … (" + shown(bytes) + " bytes: callgate approvals show " + text(record, "id") + ")" : "");
}

void print_row(const json& record) {
    printf("%-10s  %-8s  until %s  %s: %s\n", text(record, "id").c_str(), text(record, "state").c_str(),
           text(record, "expires_at").c_str(), text(record, "policy").c_str(), call_name(record).c_str());
    printf("            %s\n", excerpt(record, "arguments").c_str());
    if (member(record, "other_params_begin").is_string())
        printf("            with %s\n", excerpt(record, "other_params").c_str());
    printf("            asked by %s\n",
           text(record, "client").empty() ? text(record, "grant").c_str() : text(record, "client").c_str());
    if (const std::string claim = text(record, "client_claim"); !claim.empty())
        printf("            says it is \"%s\"\n", claim.c_str());
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
    print_line("says it is",
               text(record, "client_claim").empty() ? "" : "\"" + text(record, "client_claim") + "\", which is no proof");
    print_line("grant", text(record, "grant"));
    print_line("session", text(record, "session"));
    print_line("policy", text(record, "policy") + " " + text(record, "policy_revision"));
    print_line("rule", text(record, "rule"));
    print_line("reason", text(record, "reason"));
    print_line("requested at", text(record, "requested_at"));
    print_line("expires at", text(record, "expires_at"));
    if (const json& by = member(record, "decided_by"); by.is_object())
        print_line("decided by", who(by) + " at " + text(record, "decided_at"));
    print_line("because", text(record, "decision_reason"));
    print_line("for all until", text(record, "good_for_all_until"));
    print_line("used at", text(record, "used_at"));
    print_line("arguments", text(record, "arguments"));
    print_line("beside them", text(record, "other_params"));
}

std::string what_an_approval_does(const json& record) {
    const std::string window = text(record, "good_for_all_until");
    if (!window.empty()) return "every call that says the same is let through until " + window;
    return "it is let through once, if it is repeated before " + text(record, "expires_at");
}

// False where it fails, or the agent has no such request; what it says then is printed.
bool ask(const ApprovalOptions& options, const json& request, json& record, int& exit_code) {
    json answer;
    if (!send_agent(options.control_socket, request, answer, exit_code)) return false;
    record = member(answer, "approval");
    return true;
}

bool is_pending(const json& record) { return text(record, "state") == "pending"; }

}  // namespace

int list_approvals(const ApprovalOptions& options) {
    json answer;
    int exit_code = kExitDone;
    if (!ask_agent(options.control_socket, "approvals", answer, exit_code)) return exit_code;
    json list = member(answer, "approvals");
    if (!list.is_array()) list = json::array();
    const size_t all = list.size();
    if (!options.all)
        list.erase(std::remove_if(list.begin(), list.end(), [](const json& each) { return !is_pending(each); }), list.end());
    const size_t left_out = all - list.size();
    if (options.as_json) {
        answer["approvals"] = list;
        print_json(answer);
        return kExitDone;
    }
    for (const json& record : list) print_row(record);
    if (list.empty()) printf(options.all ? "no approvals\n" : "nothing waits for approval\n");
    if (left_out > 0) printf("%s decided: callgate approvals list --all\n", counted(left_out, "request").c_str());
    return kExitDone;
}

int show_approval(const ApprovalOptions& options) {
    json record;
    int exit_code = kExitDone;
    if (!ask(options, {{"verb", "approval"}, {"id", options.id}}, record, exit_code)) return exit_code;
    options.as_json ? print_json(record) : print_record(record);
    return kExitDone;
}

int decide_approval(const ApprovalOptions& options, std::string_view decision) {
    json record;
    int exit_code = kExitDone;
    const json request = {{"verb", "approval_decide"}, {"id", options.id}, {"decision", decision}, {"reason", options.reason}};
    if (!ask(options, request, record, exit_code)) return exit_code;
    if (options.as_json) {
        print_json(record);
        return kExitDone;
    }
    printf("%s %s: %s %s, by %s", text(record, "id").c_str(), text(record, "state").c_str(), call_name(record).c_str(),
           text(record, "arguments").c_str(), who(member(record, "decided_by")).c_str());
    if (decision == "revoke")
        printf("; repeated, it is asked for anew\n");
    else if (decision == "deny")
        printf("; until %s\n", text(record, "expires_at").c_str());
    else
        printf("; %s\n", what_an_approval_does(record).c_str());
    return kExitDone;
}

}  // namespace callgate
