// What the limits of one call cost, the file that keeps them included.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cassert>
#include <cstdlib>
#include <string>

#include "base/clock.h"
#include "policy/counter_file.h"
#include "policy/policy.h"

namespace callgate {
namespace {

std::shared_ptr<const Policy> policy_with(int limits, const std::string& kind) {
    std::string text = R"({"version":"1","default":"deny","tools":{"x":{"limits":[)";
    for (int i = 0; i < limits; ++i) {
        text += (i > 0 ? ",{" : "{") + std::string(R"("counter":"counter_)") + std::to_string(i) +
                R"(","window":"hour","max":9000000000000)" + kind + "}";
    }
    std::vector<PolicyProblem> problems;
    auto policy = Policy::load(text + "]}}}", "p.json", problems);
    assert(policy);
    return policy;
}

void judge(benchmark::State& state, const std::string& kind, bool kept) {
    const auto policy = policy_with(static_cast<int>(state.range(0)), kind);
    std::string path = "/tmp/callgate-bench-XXXXXX", remark;
    close(mkstemp(path.data()));
    std::unique_ptr<CounterFile> file;
    CounterTable counters;
    if (kept) {
        file = std::move(CounterFile::open(path, remark)).value();
        counters.keep_in(*file);
    }
    Caller caller{"uid:1000 exe:/usr/bin/node", "01JABCDEFGHJKMNPQRSTVWXYZ0", "session-forge"};
    const std::string_view arguments =
        R"({"to":"somebody@example.org","amount":0.5,"text":"forty bytes of text, to be skipped"})";
    Verdict verdict;
    const int64_t now_ns = realtime_ns();
    for (auto _ : state) {
        policy->judge_tool({"x", arguments}, caller, now_ns, counters, verdict);
        benchmark::DoNotOptimize(verdict.charged.data());
    }
    assert(verdict.action == Action::allow);
    unlink(path.c_str());
}

BENCHMARK_CAPTURE(judge, calendar, "", false)->Arg(1)->Arg(6);
BENCHMARK_CAPTURE(judge, calendar_kept, "", true)->Arg(1)->Arg(6);
BENCHMARK_CAPTURE(judge, sliding_kept, R"(,"sliding":true)", true)->Arg(1)->Arg(6);
BENCHMARK_CAPTURE(judge, sum_kept, R"(,"increment_from":"args.amount")", true)->Arg(1);

}  // namespace
}  // namespace callgate
