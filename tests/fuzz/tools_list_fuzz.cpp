// Property: the filtered list is what nlohmann::json would give without the hidden tools, and the parser
// accepts it.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

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

bool is_list(const Json& message) {
    if (!message.contains("result") || !message["result"].is_object()) return false;
    const Json& result = message["result"];
    if (!result.contains("tools") || !result["tools"].is_array()) return false;
    for (const Json& tool : result["tools"]) {
        if (!tool.is_object()) return false;
    }
    return true;
}

// Returns how many were cut.
size_t filter(Json& message) {
    Json kept = Json::array();
    Json& tools = message["result"]["tools"];
    for (const Json& tool : tools) {
        const bool named = tool.contains("name") && tool["name"].is_string();
        if (!is_hidden(named ? tool["name"].get<std::string>() : std::string())) kept.push_back(tool);
    }
    const size_t cut = tools.size() - kept.size();
    tools = kept;
    Json& result = message["result"];
    if (cut > 0 && result.contains("cacheScope") && result["cacheScope"] == "public")
        result["cacheScope"] = "private";
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
    hold(parser.parse(out).kind == callgate::MessageKind::response, "tools_list",
         "the result is not accepted");
    hold(Json::parse(out, nullptr, false) == message, "tools_list", "the result differs");
    return 0;
}
