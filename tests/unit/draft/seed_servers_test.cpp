// The draft of each of the five servers whose policies are shipped, against what is shipped. Their lists give
// names and parameters alone: a draft from the servers themselves has descriptions, too.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "draft/draft_policy.h"

namespace callgate {
namespace {

const std::string kTests = CALLGATE_SOURCE_DIR "/tests/";

struct Seed {
    const char *policy, *directory;
};
constexpr Seed kSeeds[] = {{"session-forge", "session-forge"},
                           {"agent-recall", "agent-recall-mcp"},
                           {"mcacp", "mcacp"},
                           {"total-recall", "total-recall"},
                           {"delx", "delx-mcp"}};

std::map<std::string, std::string> shipped_classes(const Seed& seed) {
    std::ifstream file(kTests + "unit/policy/data/" + seed.policy + ".tools");
    std::map<std::string, std::string> out;
    for (std::string risk, tool; file >> risk >> tool;) out[tool] = risk;
    return out;
}

// [["name","param!",…],…]
std::vector<ListedTool> listed_tools(const Seed& seed) {
    std::ifstream file(kTests + "harness/servers/seed/" + seed.directory + "/tools.json");
    std::vector<ListedTool> tools;
    for (const nlohmann::json& said : nlohmann::json::parse(file)) {
        ListedTool tool;
        tool.name = said[0];
        for (size_t i = 1; i < said.size(); ++i) {
            std::string parameter = said[i];
            if (parameter.ends_with('!')) parameter.pop_back();
            tool.parameters.push_back({parameter, false, {}});
        }
        tools.push_back(std::move(tool));
    }
    return tools;
}

TEST(SeedServers, DraftsAgreeWithTheShippedPolicies) {
    std::map<std::pair<std::string, std::string>, int> table;  // shipped, drafted
    int tools = 0, agreeing = 0;
    for (const Seed& seed : kSeeds) {
        const std::map<std::string, std::string> shipped = shipped_classes(seed);
        for (const ListedTool& tool : listed_tools(seed)) {
            ASSERT_TRUE(shipped.contains(tool.name)) << tool.name;
            const RiskFinding finding = classify(tool);
            const std::string drafted(name(finding.risk)), wanted = shipped.at(tool.name);
            const bool is_closed = wanted == "destructive" || wanted == "financial";
            EXPECT_FALSE(is_closed && drafted == "read") << seed.policy << ": " << tool.name << ": " << finding.reason;
            ++table[{wanted, drafted}];
            ++tools;
            agreeing += drafted == wanted;
        }
    }
    std::string shown = "\nshipped      -> drafted\n";
    for (const auto& [pair, count] : table) shown += pair.first + " -> " + pair.second + ": " + std::to_string(count) + "\n";
    EXPECT_EQ(tools, 234);
    EXPECT_GE(agreeing * 100, tools * 90) << agreeing << " of " << tools << shown;
    // What is shipped as not to be called without a human is, but for close_session of Delx, which only its
    // arguments tell apart.
    EXPECT_EQ((table[{"financial", "financial"}]), 5) << shown;
    EXPECT_EQ((table[{"destructive", "destructive"}]), 6) << shown;
}

TEST(SeedServers, AliasesAreDraftedAsTheirTools) {
    std::ifstream file(CALLGATE_SOURCE_DIR "/policies/delx.json");
    const auto aliases = nlohmann::json::parse(file)["aliases"].get<std::map<std::string, std::string>>();
    std::vector<ListedTool> tools = listed_tools(kSeeds[4]);
    for (const auto& [alias, tool] : aliases) {
        ListedTool listed;
        listed.name = alias;
        listed.description = "Alias of " + tool + ".";
        tools.push_back(listed);
    }
    const Draft draft = draft_policy(tools, {});
    std::vector<PolicyProblem> problems;
    EXPECT_TRUE(Policy::load(draft.text, "delx", problems));
    EXPECT_EQ((nlohmann::json::parse(draft.text)["aliases"].get<std::map<std::string, std::string>>()), aliases);
}

}  // namespace
}  // namespace callgate
