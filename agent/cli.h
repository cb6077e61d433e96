// The verbs of the command line that talk to the agent or to files. Each prints what it found and returns the
// program's exit code; errors go to stderr and say what, where, and what to do.
#pragma once
#include <sys/types.h>

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/protocol.h"
#include "exit_codes.h"
#include "policy/trial_call.h"

namespace callgate {

struct AskOptions {
    std::string control_socket = kControlSocketDefault;
    bool as_json = false;
};

struct TailOptions {
    std::string audit_file;  // empty: ask the agent
    std::string control_socket = kControlSocketDefault;
    size_t last_lines = 10;
    bool as_json = false;
    bool follow = true;
};

struct ExplainOptions {
    std::string policy_file;
    TrialCall call;
    std::string grants_file;            // where call.grant and its labels are
    std::string call_file;              // a whole message; "-": standard input
    std::string audit_file, record_id;  // of a call that was recorded
    bool as_json = false;
};

struct DraftOptions {
    std::string source;                     // a recorded list ("-": standard input), or the URL of a server
    std::vector<std::string> command_line;  // instead: a server to start
    std::vector<std::string> headers;       // further ones of requests to a URL
    ServerMatch server;                     // instead of what is found out of it
};

struct ReplayOptions {
    std::string policy_file;
    std::vector<std::string> audit_files;  // "-": standard input
    bool any_server = false, all = false, as_json = false;
};

struct SupportOptions {
    std::string config_directory = "/etc/callgate";
    std::string control_socket;  // empty: what callgate.json says
    std::string output;          // empty: a new file in the working directory
};

struct ConvertOptions {
    std::string policy_file;
    std::string output;  // empty: standard output
};

struct CounterOptions {
    std::string control_socket = kControlSocketDefault;
    std::string config_directory = "/etc/callgate", state_directory;  // where no agent runs; empty: what the configuration says
    bool as_json = false;
    std::vector<std::string> names;  // to reset
    bool all = false, yes = false;
};

struct ApprovalOptions {
    std::string control_socket = kControlSocketDefault;
    std::string id, reason;
    bool as_json = false;
    bool all = false;  // those that are decided, too
};

struct DoctorOptions {
    std::string config_directory = "/etc/callgate";
    std::string control_socket;  // empty: what the configuration says
    bool as_json = false;
};

int list_approvals(const ApprovalOptions& options);
int show_approval(const ApprovalOptions& options);
int decide_approval(const ApprovalOptions& options, std::string_view decision);  // "approve", "deny", "revoke"

struct PinOptions {
    std::string control_socket = kControlSocketDefault;
    bool as_json = false;
    std::string policy, server, tool;  // empty: any
    bool only_changed = false;
    bool all = false, yes = false;  // to accept, to reset
};

int list_pins(const PinOptions& options);
int show_pins(const PinOptions& options);
int accept_pins_asked(const PinOptions& options);
int reset_pins_asked(const PinOptions& options);
int print_counters(const CounterOptions& options);
int reset_counters_asked(const CounterOptions& options);
// The agent reads its policies again; prints what is in force then.
int reload_policies(const AskOptions& options);
// A new agent goes on in the place of the one that runs; returns when it is ready.
int restart_agent(const AskOptions& options);
int print_status(const AskOptions& options);
int print_sessions(const AskOptions& options);
int print_doctor(const DoctorOptions& options);
// `agent`: the process of the one that runs.
nlohmann::json doctor_json(std::optional<pid_t> agent);
int write_support_bundle(const SupportOptions& options);
int check_policies(const std::vector<std::string>& files);
int convert_policy(const ConvertOptions& options);
int explain_call(const ExplainOptions& options);
int test_policies(const std::vector<std::string>& files);
int replay_audit(const ReplayOptions& options);
int draft_from(const DraftOptions& options);
int tail_audit(const TailOptions& options);

// --- shared by the verbs ---

// One request to the agent; prints what is wrong and sets `exit_code` where it fails.
bool ask_agent(const std::string& control_socket, std::string_view verb, nlohmann::json& result, int& exit_code);
bool send_agent(const std::string& control_socket, const nlohmann::json& request, nlohmann::json& result, int& exit_code);
// kExitDone where what changes something may go on: with `yes`, or asked on a terminal. Without one `unattended` says what would
// be done, and that it wants --yes.
int confirm(bool yes, const std::string& question, const std::string& unattended);
// Null where it cannot be used; why is said on stderr.
std::shared_ptr<const Policy> load_policy_file(const std::string& path);
// "callgate: <text>" on stderr, safe for a terminal.
void print_error(std::string_view text);
// Indented JSON on stdout, pure ASCII.
void print_json(const nlohmann::json& value);

// Members of what may be incomplete or of another version: nothing here fails.
std::optional<pid_t> pid_of_agent(const nlohmann::json& status);                  // as the agent answered; none where it did not
const nlohmann::json& member(const nlohmann::json& value, std::string_view key);  // null where absent
std::string shown(const nlohmann::json& value);  // text or number, safe for a terminal; "" for null
// The package of a server, else its command, else its executable.
std::string server_name(const nlohmann::json& server);
std::string client_name(const nlohmann::json& peer);

}  // namespace callgate
