// policies/grants.schema.json and the loader of grants.json know the same keys and bounds.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/limits.h"
#include "policy/grant.h"
#include "policy/known_keys.h"

namespace callgate {
namespace {

using nlohmann::json;

json schema() {
    std::ifstream file(CALLGATE_SOURCE_DIR "/policies/grants.schema.json");
    return json::parse(file, nullptr, false);
}

bool loads(const json& document) {
    std::vector<PolicyProblem> problems;
    return GrantTable::load(document.dump(), "f", problems) != nullptr;
}

TEST(GrantsSchema, KnowsTheKeysThatTheLoaderKnows) {
    const json definitions = schema()["$defs"];
    size_t objects = 0;
    for (const auto& [name, definition] : definitions.items()) objects += definition.value("type", "") == "object";
    EXPECT_EQ(objects, grant_known_keys().size());
    for (const KnownKeys* known : grant_known_keys()) {
        const json& definition = definitions[std::string(known->object)];
        ASSERT_TRUE(definition.is_object()) << known->object;
        EXPECT_EQ(definition["additionalProperties"], json(false)) << known->object;
        std::set<std::string> in_schema, in_loader(known->keys.begin(), known->keys.end());
        for (const auto& [key, value] : definition["properties"].items()) in_schema.insert(key);
        EXPECT_EQ(in_schema, in_loader) << known->object;
    }
}

TEST(GrantsSchema, RequiresWhatTheLoaderRequires) {
    const json whole = {
        {"version", "1"}, {"default", "deny"}, {"grants", {{"g", {{"match", {{"user", "u"}}}, {"labels", {{"a", 1}}}}}}}};
    ASSERT_TRUE(loads(whole));
    const json definitions = schema()["$defs"];
    for (const auto& [place, object] : {std::pair<std::string, std::string>{"", "grants"}, {"/grants/g", "grant"}}) {
        const json::json_pointer pointer(place);
        for (const auto& [key, value] : whole[pointer].items()) {
            json without = whole;
            without[pointer].erase(key);
            const json& required = definitions[object]["required"];
            const bool is_required = std::find(required.begin(), required.end(), key) != required.end();
            EXPECT_EQ(loads(without), !is_required) << object << " without " << key;
        }
    }
    json nobody = whole;
    nobody["grants"]["g"]["match"] = json::object();
    EXPECT_FALSE(loads(nobody));
    EXPECT_EQ(definitions["match"]["minProperties"], 1);
}

TEST(GrantsSchema, HasTheBoundsOfTheLoader) {
    const json definitions = schema()["$defs"];
    EXPECT_EQ(definitions["grants"]["properties"]["grants"]["maxProperties"], kGrantsMax);
    EXPECT_EQ(definitions["grant"]["properties"]["labels"]["maxProperties"], kGrantLabelsMax);
    EXPECT_EQ(definitions["match"]["properties"]["parents"]["anyOf"][1]["maxItems"], kGrantParentsMax);
    for (const json& word : definitions["grants"]["properties"]["default"]["enum"]) {
        EXPECT_TRUE(loads({{"version", "1"}, {"default", word}, {"grants", json::object()}})) << word;
    }
}

TEST(GrantsSchema, EachMemberOfAMatchIsRead) {
    const json all = schema();
    for (const auto& [key, value] : all["$defs"]["match"]["properties"].items()) {
        const std::string text = key == "exe_sha256" ? std::string(64, '0') : "x";
        EXPECT_TRUE(loads({{"version", "1"}, {"grants", {{"g", {{"match", {{key, text}}}}}}}})) << key;
        EXPECT_FALSE(loads({{"version", "1"}, {"grants", {{"g", {{"match", {{key, 7}}}}}}}})) << key;
    }
}

}  // namespace
}  // namespace callgate
