// Under default deny a rule that is added never allows what was denied before.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "policy/policy.h"

namespace callgate {
namespace {

using nlohmann::json;

class Monotone : public ::testing::Test {
  protected:
    size_t below(size_t bound) { return random_() % bound; }
    template <typename... Words>
    json one_of(Words... words) {
        const json all = {words...};
        return all[below(all.size())];
    }

    json scalar() { return one_of(0, 1, -1, 2.5, "a", "ab", "", true, false, nullptr); }
    json condition() {
        const std::string op = one_of("eq", "neq", "in", "not_in", "lt", "lte", "gt", "gte", "regex", "contains", "exists");
        json value = scalar();
        if (op == "in" || op == "not_in") value = json::array({scalar(), scalar()});
        if (op == "lt" || op == "lte" || op == "gt" || op == "gte") value = one_of(-1, 0, 1, 2.5);
        if (op == "regex") value = one_of("a", "^b", ".");
        if (op == "exists") value = below(2) == 0;
        return {{"path", one_of("args.x", "args.y", "args.x.y", "args.l.*", "args.l.0", "args.*", "client.name")},
                {"op", op},
                {"value", value}};
    }
    json rule() {
        json conditions = json::array();
        for (size_t n = below(3); n > 0; --n) conditions.push_back(condition());
        return {{"conditions", conditions}};
    }
    json tool() {
        json made = json::object();
        for (const char* key : {"deny_if", "require", "require_approval"}) {
            for (size_t n = below(3); n > 1; --n) made[key].push_back(rule());
        }
        return made;
    }
    json policy() {
        json made = {{"version", "1"}, {"default", "deny"}};
        for (const char* name : {"a", "ab", "glob:a*", "glob:*"}) {
            if (below(3) > 0) made["tools"][name] = tool();
        }
        if (below(3) == 0) made["all_tools"][std::string(one_of("deny_if", "require", "require_approval"))].push_back(rule());
        if (made.contains("tools") && made["tools"].contains("a")) made["aliases"] = {{"other", "a"}};
        return made;
    }
    // One more rule of any kind, somewhere.
    void narrow(json& policy) {
        if (below(4) == 0 || !policy.contains("tools")) {
            policy["hide"].push_back(one_of("a", "ab", "glob:?b", "other", "z"));
            return;
        }
        if (below(5) == 0) {
            policy["all_tools"][std::string(one_of("deny_if", "require", "require_approval"))].push_back(rule());
            return;
        }
        auto tool = policy["tools"].begin();
        std::advance(tool, below(policy["tools"].size()));
        switch (below(4)) {
            case 0: tool.value()["action"] = one_of("deny", "require_approval"); return;
            case 1: tool.value()["limits"].push_back({{"counter", "c"}, {"window", 1}, {"max", below(2)}}); return;
            default:
                json& rules = tool.value()[std::string(one_of("deny_if", "require", "require_approval"))];
                if (!rules.is_array()) rules = json::array();
                rules.insert(rules.begin() + static_cast<long>(below(rules.size() + 1)), rule());
        }
    }
    std::string arguments() {
        json made = json::object();
        for (const char* key : {"x", "y", "l"}) {
            switch (below(4)) {
                case 0: break;
                case 1: made[key] = {{"y", scalar()}}; break;
                case 2: made[key] = json::array({scalar(), scalar()}); break;
                default: made[key] = scalar();
            }
        }
        return made.dump();
    }
    static std::shared_ptr<const Policy> load(const json& text) {
        std::vector<PolicyProblem> problems;
        auto loaded = Policy::load(text.dump(), "p.json", problems);
        for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text() << text;
        return loaded;
    }
    Action judge(const Policy& policy, std::string_view tool, std::string_view text) {
        Caller caller{"g", "s", "p"};
        caller.client_name = "a";
        CounterTable counters;
        return policy.judge_tool({tool, text}, caller, 0, counters).action;
    }

    std::mt19937_64 random_{20260728};
};

TEST_F(Monotone, ARuleMoreNeverAllowsMore) {
    size_t allowed = 0, narrowed = 0;
    for (int round = 0; round < 3000; ++round) {
        json text = policy();
        const auto before = load(text);
        narrow(text);
        const auto after = load(text);
        ASSERT_TRUE(before && after);
        for (int i = 0; i < 20; ++i) {
            const std::string name = one_of("a", "ab", "abc", "other", "z");
            const std::string call = arguments();
            const bool was = judge(*before, name, call) == Action::allow, is = judge(*after, name, call) == Action::allow;
            ASSERT_TRUE(was || !is) << text << " allows " << name << " " << call;
            allowed += was;
            narrowed += was && !is;
        }
    }
    // The property is not empty: many calls were allowed, and many of them no longer.
    EXPECT_GT(allowed, 5000u);
    EXPECT_GT(narrowed, 500u);
}

}  // namespace
}  // namespace callgate
