// The policies that are shipped: each loads, names its server and gives every tool of it the treatment of its
// class. data/<policy>.tools lists the tools and aliases of the server, one "class name" a line.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "policy/policy.h"

namespace callgate {
namespace {

constexpr int64_t kMidnight = 1'767'225'600'000'000'000;
const std::string kPolicies = CALLGATE_SOURCE_DIR "/policies/";
const std::string kTools = CALLGATE_SOURCE_DIR "/tests/unit/policy/data/";

struct Shipped {
    const char* name;
    const char* package;
    const char* page_tool;  // the one tool of pages/<name>.json
    size_t tools;           // lines of its list, so that it cannot shrink unseen
};
constexpr Shipped kShipped[] = {
    {"session-forge", "session-forge", "session_complete", 15},
    {"agent-recall", "agent-recall-mcp", "session_end", 6},
    {"mcacp", "mcacp", "close_session", 24},
    {"total-recall", "@avi-total-recall/total-recall", "session_close", 3},
    {"delx", "delx-mcp-server", "daily_checkin", 298},
};

std::shared_ptr<const Policy> load(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    std::vector<PolicyProblem> problems;
    auto policy = Policy::load(text.str(), path, problems);
    for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
    return policy;
}

std::map<std::string, std::string> classes(const Shipped& shipped) {
    std::ifstream file(kTools + shipped.name + ".tools");
    std::map<std::string, std::string> out;
    for (std::string risk, tool; file >> risk >> tool;) out[tool] = risk;
    EXPECT_EQ(out.size(), shipped.tools) << shipped.name;
    return out;
}

// Other names of tools.
std::map<std::string, std::string> aliases(const Shipped& shipped) {
    std::ifstream file(kPolicies + shipped.name + ".json");
    const auto policy = nlohmann::json::parse(file, nullptr, false);
    return policy.value("aliases", std::map<std::string, std::string>());
}

// How many calls are let through in one minute before one is denied, at most `tries`; and the denial.
int calls_a_minute(const Policy& policy, const std::string& tool, int tries, Verdict& denial) {
    CounterTable counters;
    for (int i = 0; i < tries; ++i) {
        denial = policy.judge_tool({tool}, {"g", "s", policy.name()}, kMidnight, counters);
        if (denial.action == Action::deny) return i;
    }
    return tries;
}

TEST(ShippedPolicies, EveryToolIsTreatedAsItsClassAsks) {
    for (const Shipped& shipped : kShipped) {
        const auto policy = load(kPolicies + shipped.name + ".json");
        ASSERT_TRUE(policy);
        EXPECT_EQ(policy->match().package, shipped.package);
        EXPECT_EQ(policy->mode(), Mode::enforce);
        const std::map<std::string, std::string> other_names = aliases(shipped);
        for (const auto& [tool, risk] : classes(shipped)) {
            const auto alias = other_names.find(tool);
            const std::string own = alias == other_names.end() ? tool : alias->second;
            SCOPED_TRACE(std::string(shipped.name) + ": " + risk + " " + tool);
            Verdict denial;
            const int calls = calls_a_minute(*policy, tool, 100, denial);
            const bool hidden = policy->is_hidden(tool);
            if (risk == "read") {
                EXPECT_EQ(calls, 100);
            } else if (risk == "write" || risk == "execute") {
                EXPECT_EQ(calls, risk == "write" ? 30 : 10);
                EXPECT_EQ(denial.rule, "/tools/" + own + "/limits/" + own + "_rate");
            } else if (risk == "destructive") {
                EXPECT_TRUE(hidden);
                EXPECT_EQ(denial.rule, "(hidden)");
                EXPECT_EQ(calls, 0);
            } else if (risk == "financial") {
                EXPECT_EQ(denial.rule, "/tools/" + own + "/deny_if");
                EXPECT_EQ(denial.reason, "Requires human approval.");
                EXPECT_EQ(calls, 0);
            } else {
                ADD_FAILURE() << "no such class";
            }
            EXPECT_EQ(hidden, risk == "destructive");
        }
        Verdict denial;
        EXPECT_EQ(calls_a_minute(*policy, "no_such_tool", 1, denial), 0);
        EXPECT_EQ(denial.rule, "(default deny)");
    }
}

TEST(ShippedPolicies, PagesAllowOneToolThirtyTimesAMinute) {
    for (const Shipped& shipped : kShipped) {
        SCOPED_TRACE(shipped.name);
        const auto policy = load(kPolicies + "pages/" + shipped.name + ".json");
        ASSERT_TRUE(policy);
        EXPECT_EQ(policy->match().package, shipped.package);
        EXPECT_FALSE(policy->hides_any());
        for (const auto& [tool, risk] : classes(shipped)) {
            Verdict denial;
            EXPECT_EQ(calls_a_minute(*policy, tool, 100, denial), tool == shipped.page_tool ? 30 : 0) << tool;
        }
    }
}

TEST(ShippedPolicies, EachHasTestsAndASchema) {
    for (const Shipped& shipped : kShipped) {
        for (const std::string& path : {kPolicies + shipped.name, kPolicies + "pages/" + shipped.name}) {
            EXPECT_TRUE(std::filesystem::exists(path + ".test.json")) << path;
            std::ifstream file(path + ".json");
            const auto policy = nlohmann::json::parse(file, nullptr, false);
            const auto schema = std::filesystem::path(path).parent_path() / policy.value("$schema", "none");
            EXPECT_TRUE(std::filesystem::equivalent(schema, kPolicies + "policy.schema.json")) << path;
        }
    }
}

TEST(ShippedPolicies, NoOtherFilesAreShipped) {
    for (const std::string& directory : {kPolicies, kPolicies + "pages/"}) {
        size_t files = 0;
        for (const auto& entry : std::filesystem::directory_iterator(directory)) {
            const std::string name = entry.path().filename();
            if (name.ends_with(".json") && !name.ends_with(".test.json") && !name.ends_with(".schema.json")) ++files;
        }
        EXPECT_EQ(files, std::size(kShipped)) << directory;
    }
}

}  // namespace
}  // namespace callgate
