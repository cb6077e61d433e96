#include "policy/intercept_dialect.h"

#include <algorithm>

#include "policy/intercept_tool.h"
#include "policy/json_edit.h"
#include "policy/known_keys.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;

constexpr std::string_view kEveryTool = "*";
constexpr std::string_view kAllTools = "/all_tools";

void move_tools(const JsonValue& tools, JsonValue& native, ProblemList& problems) {
    if (tools.kind != Kind::object) return put(native, "tools", tools);
    JsonValue named = made_at(tools, Kind::object);
    for (size_t i = 0; i < tools.items.size(); ++i) {
        const JsonKey& key = tools.keys[i];
        const JsonValue& tool = tools.items[i];
        const std::string path = join_pointer("/tools", key.name);
        if (tool.kind != Kind::object) {
            named.keys.push_back(key);
            named.items.push_back(tool);
        } else if (key.name == kEveryTool) {
            problems.moved(std::string(kAllTools), path);
            put(native, "all_tools", native_tool(tool, {path, std::string(kAllTools), "_global"}, problems));
        } else {
            named.keys.push_back(key);
            named.items.push_back(native_tool(tool, {path, path, key.name}, problems));
        }
    }
    put(native, "tools", std::move(named));
}

}  // namespace

bool is_intercept(const JsonValue& root) {
    const JsonValue* tools = root.find("tools");
    return tools && tools->kind == Kind::object &&
           std::any_of(tools->items.begin(), tools->items.end(),
                       [](const JsonValue& tool) { return tool.find("rules") != nullptr; });
}

JsonValue native_from_intercept(const JsonValue& root, ProblemList& problems) {
    JsonValue native = made_at(root, Kind::object);
    for (size_t i = 0; i < root.items.size(); ++i) {
        const JsonKey& key = root.keys[i];
        if (key.name == "tools") {
            move_tools(root.items[i], native, problems);
        } else if (key.name == "all_tools") {
            problems.add(key.offset, kAllTools,
                         "what holds for every tool is written under tools, as \"*\", where tools have rules");
        } else {
            native.keys.push_back(key);
            native.items.push_back(root.items[i]);
        }
    }
    if (!root.find("default")) put(native, "default", made_text(root, "allow"));
    return native;
}

}  // namespace callgate
