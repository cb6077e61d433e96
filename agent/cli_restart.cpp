// callgate restart
#include <time.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/counted.h"
#include "cli.h"

namespace callgate {
namespace {

using nlohmann::json;

constexpr int64_t kPatienceNanoseconds = 60'000'000'000;
constexpr timespec kLookInterval{0, 5'000'000};
constexpr int kAnswerTimeoutMs = 1000;

}  // namespace

int restart_agent(const AskOptions& options) {
    json begun;
    int exit_code = kExitDone;
    const int64_t start_ns = monotonic_ns();
    if (!ask_agent(options.control_socket, "restart", begun, exit_code)) return exit_code;
    // The socket is nobody's for a moment, then another process's.
    while (monotonic_ns() - start_ns < kPatienceNanoseconds) {
        nanosleep(&kLookInterval, nullptr);
        const Result<json> status = control_request(options.control_socket, json{{"verb", "status"}}, kAnswerTimeoutMs);
        if (!status || !member(status.value(), "pid").is_number() || status.value()["pid"] == begun["pid"]) continue;
        const json result = {{"before", begun["pid"]},
                             {"pid", status.value()["pid"]},
                             {"sessions", begun["sessions"]},
                             {"milliseconds", (monotonic_ns() - start_ns) / 1'000'000}};
        if (options.as_json) {
            print_json(result);
        } else {
            const json& sessions = result["sessions"];
            printf("process %s goes on with %s of process %s; ready after %s ms\n", shown(result["pid"]).c_str(),
                   counted(sessions.is_number_unsigned() ? sessions.get<size_t>() : 0, "session").c_str(),
                   shown(result["before"]).c_str(), shown(result["milliseconds"]).c_str());
        }
        return kExitDone;
    }
    print_error("the next agent does not answer on " + options.control_socket + "; its log says why");
    return kExitNotRunning;
}

}  // namespace callgate
