// callgate explain POLICY: what a policy says of one call, and why.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "audit/safe_text.h"
#include "cli.h"
#include "policy/explain.h"
#include "policy/json_document.h"
#include "policy/policy_file.h"
#include "replay/audit_files.h"

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

// Where both the record and the command line say something, the command line counts.
void take_record(AuditRecord&& record, TrialCall& call, bool& lacks_values) {
    const TrialCall said = std::move(call);
    call = std::move(record.call);
    lacks_values = !record.facts.has_values && !record.facts.keys.empty();
    if (!said.arguments.empty() || !said.params.empty()) {
        call.arguments = said.arguments;
        call.params = said.params;
        lacks_values = false;
    } else if (lacks_values) {
        call.arguments.clear();
    }
    if (!said.client_name.empty()) call.client_name = said.client_name;
    if (!said.client_version.empty()) call.client_version = said.client_version;
    if (!said.grant.empty()) call.grant = said.grant;
    if (said.peer.process.pid != 0) call.peer = said.peer;
    call.annotations = said.annotations;
}

bool find_record(const ExplainOptions& options, TrialCall& call) {
    Result<AuditFiles> files = AuditFiles::open({options.audit_file});
    if (!files.ok()) {
        print_error(files.error().text());
        return false;
    }
    std::unordered_map<std::string, std::pair<std::string, std::string>> clients;  // by session
    while (std::optional<AuditRecord> record = files->next()) {
        auto& [name, version] = clients[record->session];
        if (record->says_client) {
            name = record->call.client_name;
            version = record->call.client_version;
        }
        if (record->id != options.record_id || !record->is_asked) continue;
        record->call.client_name = name;
        record->call.client_version = version;
        bool lacks_values = false;
        take_record(std::move(*record), call, lacks_values);
        if (lacks_values) {
            fprintf(stderr,
                    "callgate: the record has no values of arguments; say them with --args, or all of them "
                    "are missing\n");
        }
        return true;
    }
    print_error(options.audit_file + ": no record of a request or notification that was judged has the id " + options.record_id);
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

// What is no JSON is said of the option, not of the message that it would make. What is, but is refused in a
// message, is judged so.
bool is_json_text(const char* option, const std::string& text) {
    if (text.empty()) return true;
    ProblemList found;
    if (parse_json(text, found)) return true;
    std::vector<PolicyProblem> problems;
    found.report(text, option, problems);
    for (const PolicyProblem& problem : problems) print_error(problem.text());
    return false;
}

bool is_usable(const ExplainOptions& options) {
    const TrialCall& call = options.call;
    const bool is_said = !call.name.empty() || call.method != TrialCall().method || !call.params.empty();
    if (!is_said && options.call_file.empty() && options.audit_file.empty()) {
        print_error("say which call: --tool NAME, --method NAME, --call FILE, or --audit FILE --id ID");
        return false;
    }
    // All of them are looked at.
    const bool args = is_json_text("--args", call.arguments), params = is_json_text("--params", call.params),
               annotations = is_json_text("--annotations", call.annotations);
    return args && params && annotations;
}

// Where in what was given; "" where it is in none of it.
std::string place_of_refusal(const ExplainOptions& options, const Trial& trial) {
    const size_t offset = trial.message().refusal_offset;
    if (!options.call_file.empty()) return ", at byte " + std::to_string(offset) + " of the message";
    for (const auto& [option, text] :
         {std::pair("--args", &options.call.arguments), std::pair("--params", &options.call.params)}) {
        const size_t at = text->empty() ? std::string::npos : trial.text().find(*text);
        if (at <= offset && offset <= at + text->size()) return ", at byte " + std::to_string(offset - at) + " of " + option;
    }
    return "";
}

json as_json(const TrialOutcome outcome, const Message& message, const Verdict& verdict,
             const std::vector<ExplainedStep>& steps) {
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
            made["conditions"].push_back({{"path", condition.path},
                                          {"op", condition.op},
                                          {"value", condition.value},
                                          {"holds", condition.holds},
                                          {"is_there", condition.is_there}});
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
            const char* how = condition.holds      ? "holds"
                              : condition.is_there ? "does not hold"
                                                   : "does not hold: nothing is there";
            printf("       %s %s %s: %s\n", terminal_text(condition.path).c_str(), condition.op.c_str(),
                   terminal_text(condition.value).c_str(), how);
        }
    }
}

void print_decision(TrialOutcome outcome, const Message& message, const Verdict& verdict, const std::string& place) {
    printf("%s", std::string(name(outcome)).c_str());
    if (outcome == TrialOutcome::refuse) printf(": %s%s", std::string(name(message.refusal)).c_str(), place.c_str());
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
    if (!is_usable(options)) return kExitUsage;
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
        print_decision(outcome, message, verdict, place_of_refusal(options, trial));
    }
    return outcome == TrialOutcome::allow ? kExitDone : kExitNo;
}

}  // namespace callgate
