// callgate counters, callgate counters reset: through the agent where it runs, else in its file.
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/counted.h"
#include "cli.h"
#include "lifecycle/config.h"
#include "lifecycle/kept_counters.h"
#include "policy/counter_listing.h"

namespace callgate {
namespace {

using nlohmann::json;

constexpr int kAnswerTimeoutMs = 10000;

std::string state_directory_of(const CounterOptions& options) {
    if (!options.state_directory.empty()) return options.state_directory;
    std::vector<PolicyProblem> problems;
    Result<Config> config = load_config(options.config_directory, problems);
    return config ? config->state_directory : Config().state_directory;
}

// Without an agent: the file itself. Answers as the agent would.
int ask_file(const CounterOptions& options, const json& request, json& result) {
    const std::string directory = state_directory_of(options);
    if (access(counter_file_path(directory).c_str(), F_OK) != 0) {
        if (errno != ENOENT) {
            print_error(Error::system("open", counter_file_path(directory), errno).text());
            return kExitNotPermitted;
        }
        result = {{"counters", json::array()}, {"total", 0}, {"reset", 0}};
        return kExitDone;
    }
    CounterTable table;
    std::string remark;
    auto kept = KeptCounters::open(directory, table, remark);
    if (!kept) {
        print_error(kept.error().text());
        return kept.error().code == EACCES ? kExitNotPermitted : kExitInternal;
    }
    if (!remark.empty()) print_error(remark);
    if (request["verb"] == "counters") {
        result = counters_json(table.rows(realtime_ns()));
    } else {
        result = {{"reset", reset_counters(table, options.names, options.all)}};
    }
    return kExitDone;
}

int ask(const CounterOptions& options, const json& request, json& result) {
    Result<json> answer = control_request(options.control_socket, request, kAnswerTimeoutMs);
    if (!answer.ok()) {
        const bool nobody_listens =
            answer.error().kind == ErrorKind::system && (answer.error().code == ENOENT || answer.error().code == ECONNREFUSED);
        if (nobody_listens) return ask_file(options, request, result);
        print_error(answer.error().text());
        return answer.error().code == EACCES ? kExitNotPermitted : kExitNotRunning;
    }
    result = std::move(answer).value();
    if (const json& problem = member(result, "error"); !problem.is_null()) {
        print_error("the agent answers: " + shown(problem) + "; try again");
        return kExitInternal;
    }
    return kExitDone;
}

void print_counter(const json& counter) {
    std::string window = "in flight";
    if (const json& seconds = member(counter, "window_s"); seconds.is_number()) {
        window = "in " + shown(seconds) + " s";
        if (shown(member(counter, "kind")) == "sliding") window += ", sliding";
    }
    printf("%12s of %-12s %-20s %s\n", shown(member(counter, "count")).c_str(), shown(member(counter, "max")).c_str(),
           window.c_str(), shown(member(counter, "name")).c_str());
}

}  // namespace

int print_counters(const CounterOptions& options) {
    json result;
    if (int code = ask(options, {{"verb", "counters"}}, result)) return code;
    if (options.as_json) {
        print_json(result);
        return kExitDone;
    }
    const json& counters = member(result, "counters");
    if (!counters.is_array() || counters.empty()) printf("no counters\n");
    if (counters.is_array()) {
        for (const json& counter : counters) print_counter(counter);
        const json& total = member(result, "total");
        if (total.is_number() && total.get<size_t>() > counters.size())
            printf("… and %zu more\n", total.get<size_t>() - counters.size());
    }
    return kExitDone;
}

int reset_counters_asked(const CounterOptions& options) {
    if (options.all == !options.names.empty()) {
        print_error("name the counters to reset, as \"callgate counters\" lists them, or give --all");
        return kExitUsage;
    }
    const std::string which = options.all ? "all counters" : counted(options.names.size(), "counter");
    if (int code =
            confirm(options.yes, "Reset " + which + "? What was counted is forgotten.", "a reset forgets what was counted"))
        return code;
    json result;
    if (int code = ask(options, {{"verb", "counters_reset"}, {"names", options.names}, {"all", options.all}}, result))
        return code;
    const json& reset = member(result, "reset");
    printf("%s reset\n", shown(reset).c_str());
    if (options.all || reset != 0) return kExitDone;
    print_error("no counter has that name; \"callgate counters\" lists them");
    return kExitNo;
}

}  // namespace callgate
