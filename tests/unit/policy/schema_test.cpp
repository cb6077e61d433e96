// policies/policy.schema.json and the loader know the same keys, and refuse the same ones to be left out.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/limits.h"
#include "policy/condition.h"
#include "policy/known_keys.h"
#include "policy/limit.h"
#include "policy/policy.h"

namespace callgate {
namespace {

using nlohmann::json;

class Schema : public ::testing::Test {
  protected:
    void SetUp() override {
        std::ifstream file(CALLGATE_SOURCE_DIR "/policies/policy.schema.json");
        schema_ = json::parse(file, nullptr, false);
        ASSERT_TRUE(schema_.is_object());
    }
    json schema_;
};

TEST_F(Schema, KnowsTheKeysThatTheLoaderKnows) {
    for (const KnownKeys* known : all_known_keys()) {
        const json& definition = schema_["$defs"][std::string(known->object)];
        ASSERT_TRUE(definition.is_object()) << known->object;
        EXPECT_EQ(definition["additionalProperties"], json(false)) << known->object;
        std::set<std::string> in_schema, in_loader(known->keys.begin(), known->keys.end());
        for (const auto& [key, value] : definition["properties"].items()) in_schema.insert(key);
        EXPECT_EQ(in_schema, in_loader) << known->object;
        EXPECT_EQ(in_loader.size(), known->keys.size()) << known->object << " lists a key twice";
        for (std::string_view later : known->later) EXPECT_EQ(in_loader.count(std::string(later)), 0u) << later;
    }
}

TEST_F(Schema, DefinesNoObjectThatTheLoaderDoesNotKnow) {
    std::set<std::string> objects;
    for (const KnownKeys* known : all_known_keys()) objects.emplace(known->object);
    for (const auto& [name, definition] : schema_["$defs"].items()) {
        if (definition.value("type", json()) != "object") continue;
        EXPECT_EQ(objects.count(name), 1u) << name;
    }
    EXPECT_EQ(schema_["$ref"], "#/$defs/policy");
}

TEST_F(Schema, RequiresWhatTheLoaderRequires) {
    // One whole example of each object, and how it is put into a policy.
    const std::map<std::string, std::pair<json, std::string>> examples = {
        {"policy", {{{"version", "1"}, {"default", "deny"}, {"tools", json::object()}}, ""}},
        {"server", {{{"package", "p"}}, "/server"}},
        {"all_tools", {{{"limits", json::array()}}, "/all_tools"}},
        {"tool", {{{"reason", "r"}}, "/tools/x"}},
        {"limit", {{{"counter", "c"}, {"window", 1}, {"max", 1}, {"scope", "grant"}}, "/tools/x/limits/0"}},
        {"condition_rule", {{{"conditions", json::array()}, {"on_deny", "d"}}, "/tools/x/deny_if/0"}},
        {"condition", {{{"path", "args.a"}, {"op", "eq"}, {"value", 1}}, "/tools/x/require/0/conditions/0"}},
        {"method", {{{"names", json::object()}, {"reason", "r"}}, "/methods/x~1y"}},
        {"name_in_method", {{{"reason", "r"}}, "/methods/x~1y/names/z"}},
        {"approvals", {{{"dedupe_window", "1m"}, {"ignore_meta", {"a/b"}}, {"notify", json::object()}}, "/approvals"}},
        {"notify", {{{"webhook", {{"url", "https://x"}}}}, "/approvals/notify"}},
        {"webhook", {{{"url", "https://x"}}, "/approvals/notify/webhook"}},
        {"rate_limit", {{{"max", 1}, {"window", 1}}, "/tools/x/rate_limit"}},
    };
    ASSERT_EQ(examples.size(), all_known_keys().size());
    for (const auto& [object, example] : examples) {
        std::set<std::string> required;
        const json& definition = schema_["$defs"][object];
        for (const auto& key : definition.value("required", json::array())) required.insert(key);
        // Of alternatives, the example takes the first.
        if (definition.contains("oneOf"))
            for (const auto& key : definition["oneOf"][0]["required"]) required.insert(key);
        const auto loads = [&, &place = example.second](const json& value) {
            json policy = {{"version", "1"}, {"default", "deny"}};
            if (place.ends_with("/conditions/0")) policy["tools"]["x"]["require"][0]["conditions"] = json::array();
            policy[json::json_pointer(place)] = value;
            std::vector<PolicyProblem> problems;
            return Policy::load(policy.dump(), "f", problems) != nullptr;
        };
        EXPECT_TRUE(loads(example.first)) << object;
        for (const auto& [key, value] : example.first.items()) {
            json without = example.first;
            without.erase(key);
            EXPECT_EQ(loads(without), required.count(key) == 0) << object << " without " << key;
        }
        for (const std::string& key : required) EXPECT_TRUE(example.first.contains(key)) << object;
    }
}

TEST_F(Schema, ListsTheWordsAndBoundsOfTheLoader) {
    const auto words_of = [](const auto& names) {
        json words = json::array();
        for (const auto& [word, value] : names) words.push_back(std::string(word));
        return words;
    };
    const json& definitions = schema_["$defs"];
    EXPECT_EQ(definitions["window"]["anyOf"][0]["enum"], words_of(kWindowNames));
    EXPECT_EQ(definitions["window"]["anyOf"][1]["maximum"], kWindowSecondsMax);
    EXPECT_EQ(definitions["limit"]["properties"]["scope"]["enum"], words_of(kScopeNames));
    EXPECT_EQ(definitions["count"]["maximum"], kLimitCountMax);
    EXPECT_EQ(definitions["condition"]["properties"]["op"]["enum"], words_of(kOperators));
    EXPECT_EQ(definitions["condition"]["properties"]["path"]["anyOf"][1]["enum"], words_of(kCallerFacts));
    EXPECT_EQ(definitions["condition_rule"]["properties"]["conditions"]["maxItems"], kConditionsPerToolMax);
    EXPECT_EQ(definitions["tool"]["properties"]["action"]["enum"], json({"allow", "deny", "require_approval"}));
    for (const char* key : {"default", "mode", "on_blind", "fail", "deny_as"}) {
        for (const json& word : definitions["policy"]["properties"][key]["enum"]) {
            json policy = {{"version", "1"}, {"default", "deny"}};
            policy[key] = word;
            std::vector<PolicyProblem> problems;
            EXPECT_TRUE(Policy::load(policy.dump(), "f", problems)) << key << " " << word;
        }
    }
}

}  // namespace
}  // namespace callgate
