// What judging one call costs, in time and allocations, and what loading a large policy costs.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

#include "policy/policy.h"

namespace {
unsigned long allocations = 0;
}
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace callgate {
namespace {

std::shared_ptr<const Policy> load(const std::string& tools) {
    std::vector<PolicyProblem> problems;
    auto policy = Policy::load(R"({"version":"1","default":"deny","tools":{)" + tools + "}}", "p.json", problems);
    for (const PolicyProblem& problem : problems) fprintf(stderr, "%s\n", problem.text().c_str());
    return policy;
}

std::string condition(const std::string& path, const std::string& op, const std::string& value) {
    return R"({"path":")" + path + R"(","op":")" + op + R"(","value":)" + value + "}";
}

// `rules` entries of deny_if, each with one condition on an argument of its own, none of which denies.
std::string tool_with_rules(int rules) {
    std::string out = R"("x":{"deny_if":[)";
    for (int i = 0; i < rules; ++i) {
        out += (i ? "," : "") +
               (R"({"conditions":[)" + condition("args.argument_" + std::to_string(i), "gt", std::to_string(1000 + i)) + "]}");
    }
    return out + "]}";
}

constexpr char kArguments[] =
    R"({"argument_0":17,"argument_7":"text","argument_21":{"argument_3":5000},"path":"/srv/data/notes.txt","head":40})";

void judge(benchmark::State& state, const std::string& tools, std::string_view tool, std::string_view arguments) {
    const auto policy = load(tools);
    CounterTable counters;
    Verdict verdict;
    const Caller caller{"uid:1000 exe:/usr/bin/node", "01JABCDEFGHJKMNPQRSTVWXYZ0", "p"};
    policy->judge_tool({tool, arguments}, caller, 0, counters, verdict);
    if (verdict.action != Action::allow) state.SkipWithError("denied");
    const unsigned long before = allocations;
    for (auto _ : state) {
        policy->judge_tool({tool, arguments}, caller, 0, counters, verdict);
        benchmark::DoNotOptimize(verdict);
    }
    state.counters["allocations"] =
        benchmark::Counter(static_cast<double>(allocations - before), benchmark::Counter::kAvgIterations);
}

void judge_one_rule(benchmark::State& state) { judge(state, tool_with_rules(1), "x", kArguments); }
void judge_50_rules(benchmark::State& state) { judge(state, tool_with_rules(50), "x", kArguments); }
void judge_50_rules_no_arguments(benchmark::State& state) { judge(state, tool_with_rules(50), "x", "{}"); }

void judge_among_1000_tools(benchmark::State& state) {
    std::string tools;
    for (int i = 0; i < 1000; ++i) tools += (i ? ",\"tool_" : "\"tool_") + std::to_string(i) + "\":{}";
    judge(state, tools, "tool_500", kArguments);
}

void judge_10_conditions_with_a_regex(benchmark::State& state) {
    std::string conditions = condition("args.path", "regex", R"("^/srv/[a-z/]+\\.txt$")");
    for (int i = 0; i < 9; ++i)
        conditions += "," + condition("args.head", i % 2 ? "gte" : "lt", std::to_string(i % 2 ? i : 1000 + i));
    judge(state, R"("x":{"require":[{"conditions":[)" + conditions + "]}]}", "x", kArguments);
}

void judge_a_limit(benchmark::State& state) {
    judge(state, R"("x":{"limits":[{"counter":"c","window":"day","max":9007199254740991}]})", "x", kArguments);
}

// 30,000 tools in ten files, each with a limit.
void load_30000_tools(benchmark::State& state) {
    std::string tools;
    for (int i = 0; i < 3000; ++i) {
        const std::string name = "tool_" + std::to_string(i);
        tools += (i ? ",\"" : "\"") + name + R"(":{"limits":[{"counter":")" + name +
                 R"(_rate","window":"minute","max":30,"scope":"grant"}]})";
    }
    size_t bytes = 0;
    for (auto _ : state) {
        const size_t before = mallinfo2().uordblks;
        std::vector<std::shared_ptr<const Policy>> policies;
        for (int file = 0; file < 10; ++file) policies.push_back(load(tools));
        bytes = mallinfo2().uordblks - before;
    }
    state.counters["MiB"] = static_cast<double>(bytes) / (1 << 20);
}

BENCHMARK(judge_one_rule);
BENCHMARK(judge_50_rules);
BENCHMARK(judge_50_rules_no_arguments);
BENCHMARK(judge_among_1000_tools);
BENCHMARK(judge_10_conditions_with_a_regex);
BENCHMARK(judge_a_limit);
BENCHMARK(load_30000_tools)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace callgate
