// The command line: verbs and their options. What they do is in app.h (run) and cli.h (the others).
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>

#include "app.h"
#include "cli.h"
#include "pages_verb.h"
#include "restart/keeper.h"

namespace callgate {
namespace {

using Action = std::function<int()>;

constexpr int kProcessIdMax = 4194304;  // PID_MAX_LIMIT of 64-bit kernels

constexpr char kExitCodes[] =
    "Exit codes: 0 done; 1 the answer is no, or a check failed; 2 wrong usage; 69 the agent is not running;\n"
    "            70 internal error; 75 as a service: too many agents in a row were not ready; "
    "77 not permitted; 78 bad configuration";

CLI::App* add_verb(CLI::App& app, const std::string& verb, const std::string& purpose, const std::string& examples) {
    CLI::App* command = app.add_subcommand(verb, purpose);
    command->footer("Examples:\n" + examples + kExitCodes);
    return command;
}

void add_control(CLI::App* command, std::string& socket) {
    command->add_option("--control", socket, "the agent's control socket")->type_name("SOCKET")->capture_default_str();
}

std::shared_ptr<RunOptions> add_agent_options(CLI::App* command) {
    auto options = std::make_shared<RunOptions>();
    command->add_option("--config", options->config_directory, "directory that holds callgate.json and policies.d/")
        ->type_name("DIR")
        ->capture_default_str();
    command->add_option("--scope-tree", options->scope_trees, "govern only this process and its descendants (repeatable)")
        ->type_name("PID")
        ->expected(1)
        ->take_all()
        ->check(CLI::Range(1, kProcessIdMax));
    command->add_option("--scope-cgroup", options->scope_cgroups, "govern only this cgroup v2 directory (repeatable)")
        ->type_name("PATH")
        ->expected(1)
        ->take_all();
    command->add_option("--audit", options->audit_file, "append audit records here, whatever callgate.json says")
        ->type_name("FILE");
    command->add_option("--control", options->control_socket, "the control socket, whatever callgate.json says")
        ->type_name("SOCKET");
    command->add_option("--state", options->state_directory, "keep counters and secrets here, whatever callgate.json says")
        ->type_name("DIR");
    command->add_flag("--verbose,-v", options->verbose, "log details");
    return options;
}

void add_run(CLI::App& app, Action& action) {
    CLI::App* command =
        add_verb(app, "run", "Run the agent: find MCP servers, govern their traffic, write the audit log",
                 "  callgate run --config /etc/callgate\n"
                 "  callgate run --config ./config --scope-tree $$ --audit /tmp/audit.jsonl\n"
                 "SIGTERM hands every session back and ends the agent; SIGHUP reopens the audit file. \"systemctl restart\" and\n"
                 "\"callgate restart\" (see keep) hand nothing back: the next agent goes on with every session.\n");
    const auto options = add_agent_options(command);
    command->callback([options, &action] { action = [options] { return run_agent(*options); }; });
}

void add_guard(CLI::App& app, Action& action) {
    CLI::App* command = add_verb(
        app, "guard", "While no agent runs: end servers that start or listen and whose policy says \"fail\": \"closed\"",
        "  callgate guard --config /etc/callgate        what callgate-guard.service does when the agent could not be started\n"
        "Looks ten times a second; of servers that ran before it ends those that listen. Ends when an agent answers.\n"
        "callgate.json may be wrong, as long as its \"scope\" is not: other keys with mistakes in them are left out.\n");
    const auto options = add_agent_options(command);
    command->callback([options, &action] { action = [options] { return run_guard(*options); }; });
}

void add_keep(CLI::App& app, Action& action) {
    auto words = std::make_shared<std::vector<std::string>>();
    CLI::App* command = add_verb(
        app, "keep", "Where there is no systemd: run the agent, start it again when it ends, keep its sessions meanwhile",
        "  callgate keep -- run --config /etc/callgate\n"
        "  callgate restart                  a new agent, of the binary as it is now, goes on with every session\n"
        "SIGTERM and SIGHUP go to the agent. Ends when the agent was stopped, or cannot start (exit codes 2, 77, 78); when\n"
        "it ends otherwise, or says nothing for 20 seconds, another one goes on with its sessions, at once, or\n"
        "after up to 30 seconds where it does not get as far as being ready.\n");
    command->add_option("COMMAND", *words, "\"run\" and its options, after \"--\"")->required()->type_name("");
    command->callback([words, &action] {
        action = [words] {
            if (words->front() == "run") return run_keeper(*words);
            print_error("keep: only \"run\" can be kept: callgate keep -- run --config /etc/callgate");
            return kExitUsage;
        };
    });
}

void add_check(CLI::App& app, Action& action) {
    auto files = std::make_shared<std::vector<std::string>>();
    CLI::App* command =
        add_verb(app, "check", "Check policies, grants.json and callgate.json: every problem with its line, or \"ok\"",
                 "  callgate check /etc/callgate/policies.d/*.json /etc/callgate/grants.json\n"
                 "  callgate check github.yaml\n");
    command->add_option("FILE", *files, "policy files, grants.json or callgate.json")->required()->type_name("");
    command->callback([files, &action] { action = [files] { return check_policies(*files); }; });
}

void add_convert(CLI::App& app, Action& action) {
    auto options = std::make_shared<ConvertOptions>();
    CLI::App* command =
        add_verb(app, "convert", "Write a policy of any dialect in the native one: its normal form, in JSON",
                 "  callgate convert policies.d/github.yaml\n"
                 "  callgate convert intercept.yaml --output policies.d/github.json\n"
                 "What is wrong with the policy is told as \"callgate check\" tells it, and nothing is written.\n");
    command->add_option("FILE", options->policy_file, "policy file")->required()->type_name("");
    command->add_option("--output", options->output, "write it there; standard output otherwise")->type_name("FILE");
    command->callback([options, &action] { action = [options] { return convert_policy(*options); }; });
}

// A call as the command line tells it. What says the same thing in two ways is a mistake, and not the one or the other.
void add_call(CLI::App* command, ExplainOptions& options) {
    TrialCall& call = options.call;
    CLI::Option* tool = command->add_option("--tool", call.name, "the tool that is called")->type_name("NAME");
    CLI::Option* args = command->add_option("--args", call.arguments, "its arguments")->type_name("JSON");
    CLI::Option* method = command->add_option("--method", call.method, "another method than tools/call")->type_name("NAME");
    CLI::Option* params = command->add_option("--params", call.params, "its params")->type_name("JSON");
    CLI::Option* from_server = command->add_flag("--from-server", call.from_server, "the server asks its client");
    CLI::Option* file =
        command->add_option("--call", options.call_file, "a whole JSON-RPC message (\"-\": standard input)")->type_name("FILE");
    CLI::Option* audit =
        command->add_option("--audit", options.audit_file, "an audit file that has a record of the call")->type_name("FILE");
    CLI::Option* id = command->add_option("--id", options.record_id, "the record's id")->type_name("ID")->needs(audit);
    audit->needs(id);
    tool->excludes(method)->excludes(params);
    args->excludes(method)->excludes(params);
    for (CLI::Option* each : {tool, args, method, params}) file->excludes(each);
    // Of a record the arguments may be told again, for it may lack them.
    for (CLI::Option* each : {tool, method, from_server, file}) audit->excludes(each);
    command->add_option("--client", call.client_name, "clientInfo.name")->type_name("NAME");
    command->add_option("--client-version", call.client_version, "clientInfo.version")->type_name("TEXT");
    command->add_option("--annotations", call.annotations, "what the server says of the tool")->type_name("JSON");
    command->add_option("--grant", call.grant, "the caller's grant")->type_name("TEXT");
    ProcessFacts& peer = call.peer.process;
    const auto known = [&peer](const std::string&) { peer.pid = 1; };
    command->add_option("--peer-uid", peer.uid, "user number of the client")->type_name("UID")->each(known);
    command->add_option("--peer-user", peer.user, "its user")->type_name("NAME")->each(known);
    command->add_option("--peer-exe", peer.exe, "its program")->type_name("PATH")->each(known);
    command->add_option("--peer-cgroup", peer.cgroup, "its cgroup")->type_name("PATH")->each(known);
}

void add_explain(CLI::App& app, Action& action) {
    auto options = std::make_shared<ExplainOptions>();
    CLI::App* command = add_verb(
        app, "explain", "Say what a policy decides about one call, and each step to it",
        "  callgate explain policies.d/pay.json --tool create_charge --args '{\"amount\": 20000}'\n"
        "  callgate explain policies.d/pay.json --method resources/read --params '{\"uri\": \"file:///etc/passwd\"}'\n"
        "  callgate explain policies.d/pay.json --call message.json --peer-uid 1000 --client cursor\n"
        "  callgate explain policies.d/pay.json --audit /var/log/callgate/audit.jsonl --id 01JABCDEFGHJKMNPQRSTVWXYZ0\n"
        "Counters begin at nothing. Exits with 0 where the call is allowed, 1 where it is not, 78 where the policy is bad.\n");
    command->add_option("POLICY", options->policy_file, "policy file")->required()->type_name("");
    add_call(command, *options);
    command->add_option("--grants", options->grants_file, "a grants.json that has the grant that --grant names, and its labels")
        ->type_name("FILE")
        ->needs("--grant");
    command->add_flag("--json", options->as_json, "print JSON");
    command->callback([options, &action] { action = [options] { return explain_call(*options); }; });
}

void add_test(CLI::App& app, Action& action) {
    auto files = std::make_shared<std::vector<std::string>>();
    CLI::App* command = add_verb(app, "test", "Run the tests of policies: NAME.test.json beside NAME.json or NAME.yaml",
                                 "  callgate test policies.d/pay.json\n"
                                 "  callgate test policies.d/*.test.json\n"
                                 "Exits with 0 where all cases are as expected, 1 where one is not, 78 where a file is bad.\n");
    command->add_option("FILE", *files, "test files, or the policies that they are beside")->required()->type_name("");
    command->callback([files, &action] { action = [files] { return test_policies(*files); }; });
}

void add_replay(CLI::App& app, Action& action) {
    auto options = std::make_shared<ReplayOptions>();
    CLI::App* command =
        add_verb(app, "replay", "Say what a policy would have decided on recorded traffic, as a table of differences",
                 "  callgate replay new/pay.json /var/log/callgate/audit.jsonl*\n"
                 "  callgate replay new/pay.json --all --json audit.jsonl.2.gz | jq '.calls[].id'\n"
                 "  zcat old/*.gz | callgate replay new/pay.json -\n"
                 "Files may be compressed, and are read in the order of their records.\n"
                 "Counters begin at nothing, and the time is the records'. Servers that the policy does not name are left out.\n"
                 "What depends on a value that was not recorded is unknown: see audit.arguments in callgate.json.\n"
                 "RULE is the rule that denies: of NOW, or of WAS where it would be allowed now; or what the record lacks.\n"
                 "Exits as diff does: with 0 where nothing would be decided in another way (the unknown apart),\n"
                 "1 where something would, 2 where a file cannot be read; 78 where the policy is bad.\n");
    command->add_option("POLICY", options->policy_file, "policy file")->required()->type_name("");
    command->add_option("AUDIT", options->audit_files, "audit files (\"-\": standard input)")->required()->type_name("");
    command->add_flag("--any-server", options->any_server, "judge what was said to servers that the policy does not name, too");
    command->add_flag("--all", options->all, "list every message that would be decided in another way");
    command->add_flag("--json", options->as_json, "print JSON");
    command->callback([options, &action] { action = [options] { return replay_audit(*options); }; });
}

void add_draft(CLI::App& app, Action& action, const std::vector<std::string>& command_line) {
    auto options = std::make_shared<DraftOptions>();
    CLI::App* command =
        add_verb(app, "draft", "Draft a policy from a server's list of tools, each tool by its class of risk and with the reason",
                 "  callgate draft -- npx -y @modelcontextprotocol/server-memory > memory.json\n"
                 "  callgate draft http://127.0.0.1:3000/mcp --header 'Authorization: Bearer abc' > notes.json\n"
                 "  callgate draft --package session-forge recorded.json > session-forge.json\n"
                 "  jq -c .result answers.jsonl | callgate draft -\n"
                 "What stands after \"--\" is started, asked for its tools, and ended.\n"
                 "A file holds what a server answered to tools/list: the whole answer, its result or its tools.\n"
                 "Several of them, one after the other, are put together.\n"
                 "The policy goes to standard output, a summary to stderr. Prompts and resources are not covered.\n"
                 "Read the draft before it governs anything: names and descriptions are the server's own words.\n");
    command->add_option("FILE", options->source, "a recorded list of tools (\"-\": standard input), or the URL of a server")
        ->type_name("");
    command->add_option("--header", options->headers, "a header of the requests to a URL (repeatable)")
        ->type_name("TEXT")
        ->expected(1)
        ->take_all();
    command->add_option("--package", options->server.package, "the package that the policy governs")->type_name("NAME");
    command->add_option("--command", options->server.command, "the command line that it governs, as a pattern")
        ->type_name("PATTERN");
    command->add_option("--listen", options->server.listen, "where the server that it governs listens")->type_name("ADDRESS");
    command->callback([options, &command_line, &action] {
        options->command_line = command_line;
        action = [options] { return draft_from(*options); };
    });
}

void add_ask(CLI::App& app, Action& action, const std::string& verb, const std::string& purpose,
             int (*print)(const AskOptions&)) {
    auto options = std::make_shared<AskOptions>();
    CLI::App* command = add_verb(app, verb, purpose, "  callgate " + verb + "\n  callgate " + verb + " --json | jq .\n");
    command->add_flag("--json", options->as_json, "print JSON");
    add_control(command, options->control_socket);
    command->callback([options, print, &action] { action = [options, print] { return print(*options); }; });
}

void add_counters(CLI::App& app, Action& action) {
    auto options = std::make_shared<CounterOptions>();
    CLI::App* command = add_verb(app, "counters", "List what limits have counted, or reset it",
                                 "  callgate counters\n"
                                 "  callgate counters reset 'session-forge|g:uid:1000 exe:/usr/bin/node|list|rate|60'\n"
                                 "  callgate counters reset --all --yes\n");
    CLI::App* reset = command->add_subcommand("reset", "Forget what these counters have counted");
    command->add_flag("--json", options->as_json, "print JSON");
    for (CLI::App* each : {command, reset}) {
        add_control(each, options->control_socket);
        each->add_option("--config", options->config_directory, "where no agent runs: its configuration")
            ->type_name("DIR")
            ->capture_default_str();
        each->add_option("--state", options->state_directory, "where no agent runs: its state directory")->type_name("DIR");
    }
    reset->add_option("NAME", options->names, "counters, as \"callgate counters\" lists them")->type_name("");
    reset->add_flag("--all", options->all, "every counter");
    reset->add_flag("--yes", options->yes, "do not ask");
    command->callback([options, reset, &action] {
        const bool resets = reset->parsed();
        action = [options, resets] { return resets ? reset_counters_asked(*options) : print_counters(*options); };
    });
}

void add_approvals(CLI::App& app, Action& action) {
    auto options = std::make_shared<ApprovalOptions>();
    CLI::App* command = add_verb(
        app, "approvals", "List the calls that wait for a human's approval, and decide",
        "  callgate approvals\n"
        "  callgate approvals show k3f9x0wq2m\n"
        "  callgate approvals approve k3f9x0wq2m --reason 'ticket 4711'\n"
        "  callgate approvals deny k3f9x0wq2m --reason 'not on a Friday'\n"
        "  callgate approvals revoke k3f9x0wq2m\n"
        "An approved call is let through once, when it is repeated; for so long as the policy's dedupe_window says, every\n"
        "time. Who decides is recorded in the audit log.\n");
    command->require_subcommand(0, 1);
    CLI::App* list = command->add_subcommand("list", "List what waits for a decision: the oldest first");
    CLI::App* show = command->add_subcommand("show", "Show one request with all that it would be approved with");
    CLI::App* approve = command->add_subcommand("approve", "Let the call through, once");
    CLI::App* deny = command->add_subcommand("deny", "Deny the call, also one that was approved: until it expires");
    CLI::App* revoke =
        command->add_subcommand("revoke", "Take an approval or a denial back: repeated, the call is asked for anew");
    for (CLI::App* each : {command, list, show, approve, deny, revoke}) {
        each->add_flag("--json", options->as_json, "print JSON");
        add_control(each, options->control_socket);
    }
    for (CLI::App* each : {command, list}) each->add_flag("--all", options->all, "also what is approved, used, denied, revoked");
    for (CLI::App* each : {show, approve, deny, revoke}) {
        each->add_option("ID", options->id, "as \"callgate approvals list\" shows it")->required()->type_name("");
    }
    for (CLI::App* each : {approve, deny, revoke}) {
        each->add_option("--reason", options->reason, "why; of a denial the caller is told")->type_name("TEXT");
    }
    command->callback([options, show, approve, deny, revoke, &action] {
        action = [options] { return list_approvals(*options); };
        if (show->parsed()) action = [options] { return show_approval(*options); };
        for (const CLI::App* each : {approve, deny, revoke}) {
            if (each->parsed()) action = [options, decision = each->get_name()] { return decide_approval(*options, decision); };
        }
    });
}

void add_pins(CLI::App& app, Action& action) {
    auto options = std::make_shared<PinOptions>();
    CLI::App* command =
        add_verb(app, "pins", "List tools whose definitions are pinned, and accept changed ones",
                 "  callgate pins --changed\n"
                 "  callgate pins show notes echo        what the definition was, and what it is now\n"
                 "  callgate pins accept notes echo\n"
                 "  callgate pins reset notes --yes      the next list is the first again\n"
                 "A tool whose policy says \"pin\" and whose definition has changed is denied until it is accepted.\n");
    const auto add_ask_options = [&options](CLI::App* verb) {
        verb->add_flag("--json", options->as_json, "print JSON");
        verb->add_flag("--changed", options->only_changed, "only those whose definition has changed");
    };
    add_ask_options(command);
    add_control(command, options->control_socket);
    const auto add_names = [&options](CLI::App* verb) {
        add_control(verb, options->control_socket);
        verb->add_option("POLICY", options->policy, "the policy, by the name of its file")->type_name("");
        verb->add_option("TOOL", options->tool, "the tool")->type_name("");
        verb->add_option("--server", options->server, "the server, as it is listed")->type_name("NAME");
    };
    const auto add_change = [&](CLI::App* verb) {
        add_names(verb);
        verb->add_flag("--all", options->all, "of every policy");
        verb->add_flag("--yes", options->yes, "do not ask");
    };
    CLI::App* list = command->add_subcommand("list", "List them; this is also done where no verb is given");
    add_names(list);
    add_ask_options(list);
    CLI::App* show = command->add_subcommand("show", "Print definitions; of a changed one what it was and what it is");
    add_names(show);
    add_ask_options(show);
    CLI::App* accept = command->add_subcommand("accept", "The changed definition is the pinned one from now on");
    add_change(accept);
    CLI::App* reset = command->add_subcommand("reset", "Forget them: the next list is pinned anew");
    add_change(reset);
    command->require_subcommand(0, 1);
    command->callback([options, show, accept, reset, &action] {
        int (*run)(const PinOptions&) = list_pins;
        if (show->parsed()) run = show_pins;
        if (accept->parsed()) run = accept_pins_asked;
        if (reset->parsed()) run = reset_pins_asked;
        action = [options, run] { return run(*options); };
    });
}

void add_reload(CLI::App& app, Action& action) {
    auto options = std::make_shared<AskOptions>();
    CLI::App* command =
        add_verb(app, "reload", "Make the agent read its policies and grants again, and open the audit file anew, as SIGHUP does",
                 "  callgate reload\n");
    command->add_flag("--json", options->as_json, "print JSON");
    add_control(command, options->control_socket);
    command->callback([options, &action] { action = [options] { return reload_policies(*options); }; });
}

void add_restart(CLI::App& app, Action& action) {
    auto options = std::make_shared<AskOptions>();
    CLI::App* command = add_verb(app, "restart", "Put a new agent in the place of the one that runs; every session goes on",
                                 "  callgate restart\n"
                                 "Of an agent that \"callgate keep\" runs; with systemd: systemctl restart callgate\n");
    command->add_flag("--json", options->as_json, "print JSON");
    add_control(command, options->control_socket);
    command->callback([options, &action] { action = [options] { return restart_agent(*options); }; });
}

void add_doctor(CLI::App& app, Action& action) {
    auto options = std::make_shared<DoctorOptions>();
    CLI::App* command =
        add_verb(app, "doctor", "Say what this host allows, what is used, and what will be blind",
                 "  sudo callgate doctor\n"
                 "Limits are those of the agent that runs; where none answers, of one that is started from here.\n");
    command->add_option("--config", options->config_directory, "directory that holds callgate.json and policies.d/")
        ->type_name("DIR")
        ->capture_default_str();
    command->add_option("--control", options->control_socket, "the agent's control socket, whatever callgate.json says")
        ->type_name("SOCKET");
    command->add_flag("--json", options->as_json, "print JSON");
    command->callback([options, &action] { action = [options] { return print_doctor(*options); }; });
}

void add_support_bundle(CLI::App& app, Action& action) {
    auto options = std::make_shared<SupportOptions>();
    CLI::App* command = add_verb(
        app, "support-bundle", "Write what a report of a defect needs into one file, redacted",
        "  sudo callgate support-bundle --output /tmp/callgate-support.json\n"
        "In it: versions, doctor, status, sessions, limits, names and revisions of policies, kinds of audit records and the last\n"
        "events. Not in it: command lines, arguments, users, paths, addresses, and the text of any policy.\n");
    command->add_option("--output", options->output, "a file that is not there yet")->type_name("FILE");
    command->add_option("--config", options->config_directory, "directory that holds callgate.json and policies.d/")
        ->type_name("DIR")
        ->capture_default_str();
    command->add_option("--control", options->control_socket, "the agent's control socket, whatever callgate.json says")
        ->type_name("SOCKET");
    command->callback([options, &action] { action = [options] { return write_support_bundle(*options); }; });
}

void add_tail(CLI::App& app, Action& action) {
    constexpr size_t kLinesMax = 1'000'000;
    auto options = std::make_shared<TailOptions>();
    auto no_follow = std::make_shared<bool>(false);
    CLI::App* command = add_verb(app, "tail", "Follow the audit log",
                                 "  callgate tail\n"
                                 "  callgate tail --json --no-follow -n 100 | jq 'select(.decision == \"deny\")'\n");
    command->add_flag("--json", options->as_json, "print the records as they are");
    command->add_option("--audit", options->audit_file, "the audit file (otherwise the agent is asked)")->type_name("FILE");
    add_control(command, options->control_socket);
    command->add_option("-n", options->last_lines, "begin with the last N records")
        ->type_name("N")
        ->check(CLI::Range(size_t{0}, kLinesMax))
        ->capture_default_str();
    command->add_flag("--no-follow", *no_follow, "end at the end of the file");
    command->callback([options, no_follow, &action] {
        action = [options, no_follow] {
            options->follow = !*no_follow;
            return tail_audit(*options);
        };
    });
}

void add_version(CLI::App& app, Action& action) {
    CLI::App* command = add_verb(app, "version", "Print the version", "  callgate version\n");
    command->callback([&action] {
        action = [] {
            printf("callgate %s\n", CALLGATE_VERSION);
            return kExitDone;
        };
    });
}

// The words after "--", which are a command of their own; the words before it stay.
std::vector<std::string> take_command_line(int& argc, char** argv) {
    for (int i = 2; i < argc; ++i) {
        if (argv[i] != std::string_view("--")) continue;
        std::vector<std::string> words(argv + i + 1, argv + argc);
        argc = i;
        return words;
    }
    return {};
}

int run_command_line(int argc, char** argv) {
    std::vector<std::string> command_line;
    if (argc > 1 && argv[1] == std::string_view("draft")) command_line = take_command_line(argc, argv);
    CLI::App app{
        "callgate governs the MCP traffic of this host: policies, rate limits and an audit log for every "
        "tool "
        "call, with no change to clients or servers.",
        "callgate"};
    app.require_subcommand(0, 1);
    app.footer(std::string("\"callgate VERB --help\" shows each verb's options and an example.\n") + kExitCodes);
    Action action;
    add_run(app, action);
    add_keep(app, action);
    add_guard(app, action);
    add_check(app, action);
    add_convert(app, action);
    add_explain(app, action);
    add_test(app, action);
    add_replay(app, action);
    add_draft(app, action, command_line);
    add_ask(app, action, "status", "Show what the agent does: sessions, frames, policies, problems", print_status);
    add_ask(app, action, "sessions", "List the sessions", print_sessions);
    add_tail(app, action);
    add_counters(app, action);
    add_approvals(app, action);
    add_pins(app, action);
    add_reload(app, action);
    add_restart(app, action);
    add_doctor(app, action);
    add_support_bundle(app, action);
    add_version(app, action);
    add_pages(app, action);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& problem) {
        return app.exit(problem) == 0 ? kExitDone : kExitUsage;
    }
    if (!action) {
        print_error(
            "name a verb: run, keep, guard, check, convert, explain, test, replay, draft, status, sessions, tail, counters, approvals, pins, reload, "
            "restart, doctor, support-bundle or version; \"callgate --help\" says more");
        return kExitUsage;
    }
    return action();
}

}  // namespace
}  // namespace callgate

int main(int argc, char** argv) {
    try {
        return callgate::run_command_line(argc, argv);
    } catch (const std::exception& problem) {
        callgate::print_error(std::string("internal error: ") + problem.what());
        return callgate::kExitInternal;
    }
}
