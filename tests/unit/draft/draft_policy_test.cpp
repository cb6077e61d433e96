#include "draft/draft_policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "jsonrpc/answer.h"

namespace callgate {
namespace {

constexpr int64_t kMidnight = 1'767'225'600'000'000'000;

std::vector<ListedTool> list_of(std::vector<std::pair<std::string, std::string>> said) {
    std::vector<ListedTool> tools;
    for (auto& [name, description] : said) {
        ListedTool tool;
        tool.name = name;
        tool.description = description;
        tools.push_back(std::move(tool));
    }
    return tools;
}

ServerMatch server(std::string package) {
    ServerMatch match;
    match.package = std::move(package);
    return match;
}

std::shared_ptr<const Policy> loaded(const Draft& draft) {
    std::vector<PolicyProblem> problems;
    auto policy = Policy::load(draft.text, "draft", problems);
    for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text() << "\n" << draft.text;
    return policy;
}

int calls_a_minute(const Policy& policy, std::string_view tool, std::string& rule) {
    CounterTable counters;
    for (int i = 0; i < 100; ++i) {
        const Verdict verdict = policy.judge_tool({tool}, {"g", "s", "draft"}, kMidnight, counters);
        rule = verdict.rule;
        if (verdict.action == Action::deny) return i;
    }
    return 100;
}

TEST(DraftPolicy, EachClassIsTreatedAsInTheShippedPolicies) {
    const Draft draft = draft_policy(
        list_of({{"get_x", ""}, {"add_x", ""}, {"run_x", ""}, {"get_env", ""}, {"pay_x", ""}, {"delete_x", ""}}), server("p"));
    const auto policy = loaded(draft);
    ASSERT_TRUE(policy);
    EXPECT_EQ(policy->match().package, "p");
    EXPECT_EQ(draft.tools, (std::array<size_t, kRiskClasses>{1, 1, 1, 1, 1, 1}));
    std::string rule;
    EXPECT_EQ(calls_a_minute(*policy, "get_x", rule), 100);
    EXPECT_EQ(calls_a_minute(*policy, "add_x", rule), 30);
    EXPECT_EQ(rule, "/tools/add_x/limits/add_x_rate");
    EXPECT_EQ(calls_a_minute(*policy, "run_x", rule), 10);
    for (const std::string tool : {"get_env", "pay_x"}) {
        CounterTable counters;
        const Verdict verdict = policy->judge_tool({tool}, {"g", "s", "draft"}, kMidnight, counters);
        EXPECT_EQ(verdict.code, kCodeApproval) << tool;
        EXPECT_EQ(verdict.rule, "/tools/" + tool + "/action");
    }
    EXPECT_EQ(calls_a_minute(*policy, "delete_x", rule), 0);
    EXPECT_EQ(rule, "(hidden)");
    EXPECT_EQ(calls_a_minute(*policy, "other", rule), 0);
    const nlohmann::json text = nlohmann::json::parse(draft.text);
    EXPECT_EQ(text["hide"], nlohmann::json({"delete_x"}));
    EXPECT_EQ(text["tools"]["get_x"], nlohmann::json({{"$comment", "read: \"get\" reads"}}));
    EXPECT_EQ(text["tools"]["pay_x"]["action"], "require_approval");
    EXPECT_EQ(text["tools"]["get_env"]["$comment"], "secret: \"env\" may hold secrets");
    EXPECT_EQ(text["tools"]["delete_x"]["$comment"], "destructive: \"delete\" removes for good");
}

TEST(DraftPolicy, AToolThatIsShownAgainStaysDenied) {
    Draft draft = draft_policy(list_of({{"delete_x", ""}}), {});
    nlohmann::json text = nlohmann::json::parse(draft.text);
    text.erase("hide");
    draft.text = text.dump();
    const auto policy = loaded(draft);
    ASSERT_TRUE(policy);
    std::string rule;
    EXPECT_EQ(calls_a_minute(*policy, "delete_x", rule), 0);
    EXPECT_EQ(rule, "/tools/delete_x/action");
}

TEST(DraftPolicy, AliasesShareRulesAndTheWorstNameDecides) {
    const auto tools = list_of({{"start_x", "Starts."},
                                {"begin_x", "Alias of start_x."},
                                {"open_x", "Alias for `begin_x`"},
                                {"get_y", "Gets."},
                                {"delete_y", "An alias of 'get_y'"},
                                {"self", "Alias of self"},
                                {"a", "alias of b"},
                                {"b", "alias of a"},
                                {"lost", "Alias of nothing_listed"}});
    const Draft draft = draft_policy(tools, {});
    const auto policy = loaded(draft);
    ASSERT_TRUE(policy);
    const nlohmann::json text = nlohmann::json::parse(draft.text);
    EXPECT_EQ(text["aliases"], nlohmann::json({{"begin_x", "start_x"}, {"open_x", "start_x"}, {"delete_y", "get_y"}}));
    EXPECT_EQ(draft.aliases, 3u);
    EXPECT_EQ(text["hide"], nlohmann::json({"get_y", "delete_y"}));
    EXPECT_EQ(text["tools"]["get_y"]["$comment"], "destructive: as \"delete_y\": \"delete\" removes for good");
    for (const char* name : {"self", "a", "b", "lost"}) EXPECT_TRUE(text["tools"].contains(name)) << name;
}

TEST(DraftPolicy, IsTheSameInWhateverOrderToolsAreListed) {
    auto tools = list_of({{"b", ""}, {"get_c", ""}, {"a", "alias of b"}, {"delete_q", ""}, {"get_a", ""}});
    const std::string text = draft_policy(tools, {}).text;
    std::reverse(tools.begin(), tools.end());
    EXPECT_EQ(draft_policy(tools, {}).text, text);
}

TEST(DraftPolicy, NamesThatNoPolicyCanHold) {
    const Draft draft = draft_policy(
        list_of({{"get_x", ""}, {"read_*", ""}, {"*", "Deletes."}, {"a\nb", ""}, {"glob:x", ""}, {"caf\xc3\xa9 \"q\" \\", ""}}),
        {});
    ASSERT_TRUE(loaded(draft));
    EXPECT_EQ(draft.unusable, (std::vector<std::string>{"glob:x", "read_*", "a\nb", "*"}));
    EXPECT_TRUE(nlohmann::json::parse(draft.text)["tools"].contains("caf\xc3\xa9 \"q\" \\"));
}

TEST(DraftPolicy, HostileTextStaysText) {
    ListedTool tool;
    tool.name = "x\",\"hide\":[\"";
    tool.parameters = {{"action", true, {"\"}, \"default\": \"allow", "delete\x1b[2J"}}};
    const Draft draft = draft_policy({tool}, {});
    const auto policy = loaded(draft);
    ASSERT_TRUE(policy);
    EXPECT_EQ(draft.text.find('\x1b'), std::string::npos);
    EXPECT_EQ(nlohmann::json::parse(draft.text)["default"], "deny");
}

TEST(DraftPolicy, NoToolsAndNoServer) {
    const Draft draft = draft_policy({}, {});
    const auto policy = loaded(draft);
    ASSERT_TRUE(policy);
    EXPECT_TRUE(policy->match().empty());
}

}  // namespace
}  // namespace callgate
