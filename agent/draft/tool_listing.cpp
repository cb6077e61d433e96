#include "draft/tool_listing.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/limits.h"

namespace callgate {
namespace {

using nlohmann::json;

constexpr size_t kParameterValuesMax = 64;  // enough to tell what a parameter decides
constexpr size_t kParametersMax = 256;

const json& member(const json& value, const char* key) {
    static const json kNull;
    if (!value.is_object()) return kNull;
    const auto found = value.find(key);
    return found == value.end() ? kNull : *found;
}

std::string text_of(const json& value, size_t bytes_max) {
    return value.is_string() ? value.get_ref<const std::string&>().substr(0, bytes_max) : std::string();
}

std::optional<bool> flag_of(const json& value) {
    return value.is_boolean() ? std::optional<bool>(value.get<bool>()) : std::nullopt;
}

void add_value(const json& value, ToolParameter& parameter) {
    if (!value.is_string()) return;
    parameter.has_values = true;
    if (parameter.values.size() < kParameterValuesMax) parameter.values.push_back(text_of(value, kNameBytesMax));
}

ToolParameter parameter_of(const std::string& name, const json& schema) {
    ToolParameter parameter{name, false, {}};
    if (member(schema, "enum").is_array()) {
        for (const json& each : member(schema, "enum")) add_value(each, parameter);
    }
    add_value(member(schema, "const"), parameter);
    for (const char* alternatives : {"oneOf", "anyOf"}) {
        if (!member(schema, alternatives).is_array()) continue;
        for (const json& each : member(schema, alternatives)) {
            add_value(member(each, "const"), parameter);
            if (!member(each, "enum").is_array()) continue;
            for (const json& value : member(each, "enum")) add_value(value, parameter);
        }
    }
    return parameter;
}

std::optional<ListedTool> tool_of(const json& said) {
    if (!member(said, "name").is_string()) return std::nullopt;
    ListedTool tool;
    tool.name = member(said, "name").get<std::string>();
    if (tool.name.empty() || tool.name.size() > kNameBytesMax) return std::nullopt;
    tool.description = text_of(member(said, "description"), kToolDescriptionBytesMax);
    const json& properties = member(member(said, "inputSchema"), "properties");
    if (properties.is_object()) {
        for (const auto& [name, schema] : properties.items()) {
            if (tool.parameters.size() < kParametersMax) tool.parameters.push_back(parameter_of(name, schema));
        }
    }
    const json& annotations = member(said, "annotations");
    tool.read_only = flag_of(member(annotations, "readOnlyHint"));
    tool.destructive = flag_of(member(annotations, "destructiveHint"));
    return tool;
}

// The tools of any of the forms; null where it is none of them.
const json& tools_in(const json& value) {
    if (value.is_array()) return value;
    const json& result = member(value, "result");
    return member(result.is_object() ? result : value, "tools");
}

class Collector {
  public:
    Collector(std::vector<ListedTool>& tools, size_t& left_out) : tools_(tools), left_out_(left_out) {}

    Status add(const json& value, const std::string& where) {
        const json& error = member(value, "error");
        if (error.is_object()) return Error::refused(where, "the server answers: " + text_of(member(error, "message"), 200));
        const json& listed = tools_in(value);
        if (!listed.is_array())
            return Error::invalid(where,
                                  "no list of tools; expected {\"tools\": [...]}, an answer to tools/list, "
                                  "or an array of tools");
        for (const json& said : listed) {
            std::optional<ListedTool> tool = tool_of(said);
            if (!tool) {
                ++left_out_;
                continue;
            }
            const auto same = [&](const ListedTool& each) { return each.name == tool->name; };
            if (std::any_of(tools_.begin(), tools_.end(), same)) continue;
            if (tools_.size() == kDraftToolsMax) {
                return Error::invalid(where,
                                      "more than " + std::to_string(kDraftToolsMax) + " tools; draft a part of them from a file");
            }
            tools_.push_back(std::move(*tool));
        }
        return {};
    }

  private:
    std::vector<ListedTool>& tools_;
    size_t& left_out_;
};

}  // namespace

Status ToolListing::add_text(std::string_view text, const std::string& where) {
    Collector collector(tools_, left_out_);
    std::istringstream stream{std::string(text)};
    size_t values = 0;
    while (true) {
        stream >> std::ws;
        if (stream.peek() == std::istringstream::traits_type::eof()) break;
        json value;
        // Only extraction reads one value and leaves what follows it.
        try {
            stream >> value;
        } catch (const json::exception&) {
            return Error::invalid(where, "value " + std::to_string(values + 1) + " is no JSON");
        }
        ++values;
        // Of a recorded session only the answers to tools/list are of use.
        if (value.is_object() && value.contains("jsonrpc") && !tools_in(value).is_array() && !value.contains("error")) continue;
        TRY_VOID(collector.add(value, where));
    }
    if (values == 0) return Error::invalid(where, "is empty");
    if (tools_.empty()) return Error::invalid(where, "lists no tools");
    return {};
}

Result<std::string> ToolListing::add_answer(std::string_view text, const std::string& where) {
    const json value = json::parse(text, nullptr, false);
    if (value.is_discarded()) return Error::invalid(where, "the server's answer to tools/list is no JSON");
    TRY_VOID(Collector(tools_, left_out_).add(value, where));
    return text_of(member(member(value, "result"), "nextCursor"), kDraftAnswerBytesMax);
}

}  // namespace callgate
