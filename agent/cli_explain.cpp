// callgate explain POLICY: what a policy says of one call, and why.
#include <cstdio>
#include <fstream>
#include <iterator>

#include "audit/safe_text.h"
#include "cli.h"
#include "policy/explain.h"
#include "policy/policy_file.h"

namespace callgate {
namespace {

using nlohmann::json;

constexpr int64_t kAnyTimeNs = 0;  // counters begin at nothing, so the time changes nothing

bool read_whole(const std::string& path, std::string& text) {
    std::ifstream file(path == "-" ? "/dev/stdin" : path, std::ios::binary);
    text.assign(std::istreambuf_iterator<char>(file), {});
    if (file.good() || file.eof()) return true;
    print_error(path + ": cannot be read");
    return false;
}

std::string text_of(const json& value) { return value.is_string() ? value.get<std::string>() : std::string(); }

void take_process(const json& said, ProcessFacts& process) {
    if (!said.is_object()) return;
    process.pid = 1;  // known
    if (member(said, "uid").is_number_unsigned()) process.uid = member(said, "uid").get<uid_t>();
    process.user = text_of(member(said, "user"));
    process.exe = text_of(member(said, "exe"));
    process.cgroup = text_of(member(said, "cgroup"));
}

// What a record of the audit log tells of a call: everything but the values of its arguments.
void take_record(const json& record, TrialCall& call) {
    call.method = text_of(member(record, "method"));
    call.name = text_of(member(record, record.contains("tool") ? "tool" : "name"));
    const std::string uri = text_of(member(record, "uri"));
    if (call.params.empty() && !uri.empty()) call.params = json{{"uri", uri}}.dump(-1, ' ', true, json::error_handler_t::replace);
    call.from_server = member(record, "direction") == "s2c";
    call.grant = text_of(member(record, "grant"));
    take_process(member(record, "peer"), call.peer.process);
    const json& server = member(record, "server");
    take_process(server, call.server.process);
    call.server.command = text_of(member(server, "command"));
    call.server.package.name = text_of(member(server, "package"));
    call.server.package.version = text_of(member(server, "package_version"));
}

bool find_record(const ExplainOptions& options, TrialCall& call) {
    std::ifstream file(options.audit_file);
    if (!file) {
        print_error(options.audit_file + ": cannot be read");
        return false;
    }
    for (std::string line; std::getline(file, line);) {
        const json record = json::parse(line, nullptr, false);
        if (member(record, "id") != options.record_id || member(record, "type") != "message") continue;
        take_record(record, call);
        const json& keys = member(record, "argument_keys");
        if (call.arguments.empty() && keys.is_array() && !keys.empty()) {
            fprintf(stderr, "callgate: the record has no values of arguments; say them with --args, or all of them are missing\n");
        }
        return true;
    }
    print_error(options.audit_file + ": no record of a message has the id " + options.record_id);
    return false;
}

// The grant that --grant names, with its labels.
bool find_grant(const ExplainOptions& options, TrialCall& call) {
    const PolicyFile file = read_policy_file(options.grants_file);
    std::vector<PolicyProblem> problems;
    std::shared_ptr<const GrantTable> table;
    if (file.text) table = GrantTable::load(*file.text, options.grants_file, problems);
    for (const PolicyProblem& problem : problems) fprintf(stderr, "%s\n", terminal_text(problem.text()).c_str());
    if (!file.text) print_error(options.grants_file + ": " + file.problem);
    if (!table) return false;
    for (const Grant& grant : table->grants()) {
        if (grant.name == call.grant) call.named_grant = grant;
    }
    if (!call.named_grant) print_error(options.grants_file + ": has no grant \"" + call.grant + "\"");
    return call.named_grant.has_value();
}

json as_json(const TrialOutcome outcome, const Message& message, const Verdict& verdict, const std::vector<ExplainedStep>& steps) {
    json out = {{"decision", name(outcome)}, {"steps", json::array()}};
    if (outcome == TrialOutcome::refuse) out["refusal"] = name(message.refusal);
    if (verdict.action == Action::deny) {
        out["rule"] = verdict.rule;
        out["reason"] = verdict.reason;
        out["code"] = verdict.code;
    }
    for (const ExplainedStep& step : steps) {
        json made = {{"at", step.at}, {"outcome", step.outcome}, {"decides", step.decides}};
        for (const ExplainedCondition& condition : step.conditions) {
            made["conditions"].push_back({{"path", condition.path}, {"op", condition.op}, {"value", condition.value},
                                          {"holds", condition.holds}, {"is_there", condition.is_there}});
        }
        out["steps"].push_back(std::move(made));
    }
    return out;
}

void print_steps(const std::vector<ExplainedStep>& steps) {
    size_t number = 0;
    for (const ExplainedStep& step : steps) {
        printf("%3zu  %s: %s\n", ++number, terminal_text(step.at).c_str(), terminal_text(step.outcome).c_str());
        for (const ExplainedCondition& condition : step.conditions) {
            const char* how = condition.holds ? "holds" : condition.is_there ? "does not hold" : "does not hold: nothing is there";
            printf("       %s %s %s: %s\n", terminal_text(condition.path).c_str(), condition.op.c_str(),
                   terminal_text(condition.value).c_str(), how);
        }
    }
}

void print_decision(TrialOutcome outcome, const Message& message, const Verdict& verdict) {
    printf("%s", std::string(name(outcome)).c_str());
    if (outcome == TrialOutcome::refuse) printf(": %s, at byte %u", std::string(name(message.refusal)).c_str(), message.refusal_offset);
    if (verdict.action == Action::deny) {
        printf(" by %s (%d)\n     %s", terminal_text(verdict.rule).c_str(), verdict.code, terminal_text(verdict.reason).c_str());
    }
    printf("\n");
}

}  // namespace

std::shared_ptr<const Policy> load_policy_file(const std::string& path) {
    const PolicyFile file = read_policy_file(path);
    if (!file.text) {
        print_error(path + ": " + file.problem);
        return nullptr;
    }
    std::vector<PolicyProblem> problems;
    std::shared_ptr<const Policy> policy = Policy::load(*file.text, path, problems);
    for (const PolicyProblem& problem : problems) fprintf(stderr, "%s\n", terminal_text(problem.text()).c_str());
    return policy;
}

int explain_call(const ExplainOptions& options) {
    const std::shared_ptr<const Policy> policy = load_policy_file(options.policy_file);
    if (policy == nullptr) return kExitConfig;
    TrialCall call = options.call;
    if (!options.call_file.empty() && !read_whole(options.call_file, call.message)) return kExitUsage;
    if (!options.audit_file.empty() && !find_record(options, call)) return kExitUsage;
    if (!options.grants_file.empty() && !find_grant(options, call)) return kExitConfig;
    const Trial trial(call);
    const Message& message = trial.message();
    CounterTable counters;
    Verdict verdict;
    trial.judge(*policy, kAnyTimeNs, counters, verdict);
    const TrialOutcome outcome = outcome_of(message, verdict);
    std::vector<ExplainedStep> steps;
    const bool is_judged = message.kind == MessageKind::request || message.kind == MessageKind::notification;
    if (is_judged) steps = explain(*policy, trial, call.from_server);
    if (options.as_json) {
        print_json(as_json(outcome, message, verdict, steps));
    } else {
        print_steps(steps);
        print_decision(outcome, message, verdict);
    }
    return outcome == TrialOutcome::allow ? kExitDone : kExitNo;
}

}  // namespace callgate
