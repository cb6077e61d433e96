// Judging allocates nothing once the counters of a caller exist. The allocator of this program is counted,
// but not under a sanitizer, which brings its own.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "../session/temp_tree.h"
#include "policy/counter_file.h"
#include "policy/policy.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {
thread_local unsigned long allocations = 0;
}
void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace callgate {
namespace {

TEST(JudgeMemory, SteadyStateAllocatesNothing) {
    std::vector<PolicyProblem> problems;
    const auto policy = Policy::load(R"({"version":"1","default":"deny","hide":["hidden"],
        "all_tools":{"limits":[{"counter":"all","window":"day","max":1000}]},
        "tools":{"limited":{"limits":[{"counter":"a","window":"minute","max":9},{"counter":"b","window":"hour","max":99},
                     {"counter":"s","window":"minute","max":9,"sliding":true},{"counter":"m","window":"day","max":99,"increment_from":"args.n"},
                     {"counter":"f","max_in_flight":1}]},
                 "denied":{"action":"deny"},
                 "asked":{"deny_if":[{"conditions":[{"path":"args.list.*.a","op":"gt","value":1.5},
                                                    {"path":"args.text","op":"contains","value":"never in it"}]}],
                          "require":[{"conditions":[{"path":"args.text","op":"regex","value":"^[a-z, \u00e9]+$"},
                                                    {"path":"args.e","op":"exists","value":false},
                                                    {"path":"peer.uid","op":"eq","value":0}]}]},"plain":{},"glob:read_*":{"rate_limit":{"max":5,"window":60}}}})",
                                     "p.json", problems);
    ASSERT_TRUE(policy);
    Caller caller{"uid:1000 exe:/usr/bin/some-quite-long-name-of-a-program", "01JABCDEFGHJKMNPQRSTVWXYZ0", "p"};
    const std::string tools[] = {
        "limited", "asked", "denied", "hidden", "plain", "read_file", "a_name_that_is_not_in_the_policy"};
    const std::string_view arguments =
        R"({"list":[{"a":1},{"a":2.5e0},[]],"n":0.25,"text":"some longer text, \u00e9 in it, is here"})";
    std::string remark;
    TempTree tree;
    auto file = CounterFile::open(tree.path("/counters"), remark);
    ASSERT_TRUE(file.ok());
    CounterTable counters;
    counters.keep_in(**file);
    Verdict verdict;
    const auto judge_all = [&](int64_t now_ns) {
        for (const std::string& tool : tools) {
            policy->judge_tool({tool, arguments}, caller, now_ns, counters, verdict);
            counters.settle(verdict.charged, CallEnd::done);
        }
    };
    // Twice: making the other counters may have dropped one of which nothing was in flight.
    for (int i = 0; i < 2; ++i) judge_all(0);
    const unsigned long before = allocations;
    for (int i = 0; i < 1000; ++i) judge_all(int64_t{i} * 1'000'000'000);
    EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace callgate

#endif
