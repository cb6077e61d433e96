// Property: the filtered list is what nlohmann::json would give without the hidden tools, whatever case the keys are in, and the
// parser accepts it.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "jsonrpc/keys.h"
#include "jsonrpc/message.h"
#include "jsonrpc/tools_list.h"
#include "property.h"

namespace {

using Json = nlohmann::json;

// About a third of all names.
bool is_hidden(std::string_view name) {
    unsigned sum = 0;
    for (const char c : name) sum = sum * 31 + static_cast<unsigned char>(c);
    return sum % 3 == 1;
}

bool fits(const std::string& key, std::string_view name) { return key == name || callgate::is_lenient_match(key, {name}); }

// Calls each(array) for every one that some reader takes for the list.
template <typename Each>
void each_list(Json& message, const Each& each) {
    for (auto& [key, result] : message.items()) {
        if (!fits(key, "result") || !result.is_object()) continue;
        for (auto& [inner_key, tools] : result.items()) {
            if (fits(inner_key, "tools") && tools.is_array()) each(tools);
        }
    }
}

bool is_list(Json& message) {
    size_t lists = 0;
    bool all_objects = true;
    each_list(message, [&](const Json& tools) {
        ++lists;
        for (const Json& tool : tools) all_objects = all_objects && tool.is_object();
    });
    return lists > 0 && all_objects;
}

bool has_hidden_name(const Json& tool) {
    bool is_named = false;
    for (const auto& [key, name] : tool.items()) {
        if (!fits(key, "name") || !name.is_string()) continue;
        is_named = is_named || key == "name";
        if (is_hidden(name.get<std::string>())) return true;
    }
    return !is_named && is_hidden("");
}

// Returns how many were cut.
size_t filter(Json& message) {
    size_t cut = 0;
    each_list(message, [&](Json& tools) {
        Json kept = Json::array();
        for (const Json& tool : tools) {
            if (!has_hidden_name(tool)) kept.push_back(tool);
        }
        cut += tools.size() - kept.size();
        tools = kept;
    });
    if (cut == 0) return 0;
    for (auto& [key, result] : message.items()) {
        if (fits(key, "result") && result.is_object() && result.contains("cacheScope") && result["cacheScope"] == "public")
            result["cacheScope"] = "private";
    }
    return cut;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static callgate::MessageParser parser;
    const std::string_view line(reinterpret_cast<const char*>(data), size);
    if (parser.parse(line).kind != callgate::MessageKind::response) return 0;
    Json message = Json::parse(line);
    std::string out;
    const callgate::ToolsListFilter found = callgate::filter_tools_list(line, is_hidden, out);
    hold(found.is_tools_list == is_list(message), "tools_list", "is_tools_list");
    if (!found.is_tools_list) {
        hold(out.empty(), "tools_list", "wrote where there is no list");
        return 0;
    }
    hold(filter(message) == found.hidden.size(), "tools_list", "number of hidden tools");
    if (found.hidden.empty()) {
        hold(out.empty(), "tools_list", "wrote where nothing is hidden");
        return 0;
    }
#ifdef CANARY
    if (found.hidden.size() == 2) out.replace(out.find("tools"), 5, "Tools");
#endif
    hold(parser.parse(out).kind == callgate::MessageKind::response, "tools_list", "the result is not accepted");
    hold(Json::parse(out, nullptr, false) == message, "tools_list", "the result differs");
    return 0;
}
