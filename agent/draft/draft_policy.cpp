#include "draft/draft_policy.h"

#include <re2/re2.h>

#include <algorithm>
#include <map>

#include "jsonrpc/answer.h"

namespace callgate {
namespace {

std::string json_text(std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
}

// Asked of the loader itself: patterns, control characters and the like are names that a policy cannot hold.
bool is_usable(const std::string& tool) {
    std::vector<PolicyProblem> problems;
    return !tool.starts_with("glob:") &&
           Policy::load(R"({"version":"1","default":"deny","tools":{)" + json_text(tool) + ":{}}}", "draft", problems) != nullptr;
}

// The tool that a description says this is another name of; "" where it says nothing of the kind.
std::string alias_target(const ListedTool& tool) {
    static const re2::RE2 kAlias(
        R"((?i)\balias(?: name)? (?:of|for|to) (?:the )?(?:tool )?[`'"]?([A-Za-z0-9_./-]*[A-Za-z0-9_]))");
    std::string target;
    re2::RE2::PartialMatch(tool.description, kAlias, &target);
    return target;
}

using ToolByName = std::map<std::string, const ListedTool*, std::less<>>;

// Follows aliases of aliases; the tool itself where they go in a circle.
const ListedTool& tool_behind(const ListedTool& tool, const ToolByName& by_name) {
    const ListedTool* at = &tool;
    for (size_t i = 0; i <= by_name.size(); ++i) {
        const auto target = by_name.find(alias_target(*at));
        if (target == by_name.end() || target->second == at) return *at;
        at = target->second;
    }
    return tool;
}

std::string limit_text(std::string_view tool, int max) {
    return R"("limits": [{ "counter": )" + json_text(std::string(tool) + "_rate") + R"(, "window": "minute", "max": )" +
           std::to_string(max) + R"(, "scope": "grant" }])";
}

std::string rules_text(const DraftedTool& tool) {
    switch (tool.finding.risk) {
        case RiskClass::read: return "";
        case RiskClass::write: return limit_text(tool.name, 30);
        case RiskClass::execute: return limit_text(tool.name, 10);
        case RiskClass::secret: return R"("action": "require_approval", "reason": "This may tell secrets.")";
        case RiskClass::financial: return R"("action": "require_approval", "reason": "This moves money.")";
        case RiskClass::destructive: return R"("action": "deny", "reason": "This destroys something and is not allowed.")";
    }
    return "";
}

std::string server_text(const ServerMatch& server) {
    std::string members;
    const auto add = [&](std::string_view key, const std::string& value) {
        if (value.empty()) return;
        members += (members.empty() ? "" : ", ") + json_text(key) + ": " + json_text(value);
    };
    add("package", server.package);
    add("command", server.command);
    add("listen", server.listen);
    add("path", server.path);
    return members.empty() ? "" : "  \"server\": { " + members + " },\n";
}

// `, "a": 1` for each of them, on lines of their own.
class Members {
  public:
    void add(const std::string& text) { text_ += (text_.empty() ? "\n    " : ",\n    ") + text; }
    std::string text(char opening, char closing) const {
        if (text_.empty()) return std::string{opening, closing};
        return opening + text_ + "\n  " + closing;
    }
    bool empty() const { return text_.empty(); }

  private:
    std::string text_;
};

std::string tool_text(const DraftedTool& tool) {
    std::string text = json_text(tool.name) +
                       ": {\n      \"$comment\": " + json_text(std::string(name(tool.finding.risk)) + ": " + tool.finding.reason);
    const std::string rules = rules_text(tool);
    if (!rules.empty()) text += ",\n      " + rules;
    return text + "\n    }";
}

constexpr std::string_view kComment =
    "A draft, made from what the server says of its tools: read every line before it governs. read is "
    "allowed, write has 30 calls a minute, execute 10; of secret and financial each call is approved by a human, destructive is "
    "hidden. Prompts, resources and other methods are not covered: they pass.";

}  // namespace

std::vector<DraftedTool> drafted_tools(const std::vector<ListedTool>& tools) {
    ToolByName by_name;
    for (const ListedTool& tool : tools) by_name.emplace(tool.name, &tool);
    std::map<std::string, DraftedTool> drafted;
    for (const auto& [tool_name, tool] : by_name) {
        const ListedTool& own = tool_behind(*tool, by_name);
        auto [at, is_new] = drafted.try_emplace(own.name, DraftedTool{own.name, {}, classify(own)});
        if (&own == tool) continue;
        at->second.aliases.push_back(tool_name);
        RiskFinding finding = classify(*tool);
        if (finding.risk <= at->second.finding.risk || finding.reason == kNothingSaid) continue;
        at->second.finding = {finding.risk, "as " + std::string(1, '"') + tool_name + "\": " + finding.reason};
    }
    std::vector<DraftedTool> out;
    for (auto& [tool_name, tool] : drafted) out.push_back(std::move(tool));
    std::stable_sort(out.begin(), out.end(),
                     [](const DraftedTool& a, const DraftedTool& b) { return a.finding.risk < b.finding.risk; });
    return out;
}

Draft draft_policy(const std::vector<ListedTool>& tools, const ServerMatch& server) {
    Draft draft;
    Members hidden, listed, aliases;
    for (const DraftedTool& tool : drafted_tools(tools)) {
        if (!is_usable(tool.name)) {
            draft.unusable.push_back(tool.name);
            continue;
        }
        const bool is_hidden = tool.finding.risk == RiskClass::destructive;
        ++draft.tools[static_cast<size_t>(tool.finding.risk)];
        listed.add(tool_text(tool));
        if (is_hidden) hidden.add(json_text(tool.name));
        for (const std::string& alias : tool.aliases) {
            if (!is_usable(alias)) {
                draft.unusable.push_back(alias);
                continue;
            }
            ++draft.aliases;
            if (is_hidden) hidden.add(json_text(alias));
            aliases.add(json_text(alias) + ": " + json_text(tool.name));
        }
    }
    draft.text = "{\n  \"$comment\": " + json_text(kComment) + ",\n  \"version\": \"1\",\n" + server_text(server) +
                 "  \"default\": \"deny\",\n";
    if (!hidden.empty()) draft.text += "  \"hide\": " + hidden.text('[', ']') + ",\n";
    draft.text += "  \"tools\": " + listed.text('{', '}');
    if (!aliases.empty()) draft.text += ",\n  \"aliases\": " + aliases.text('{', '}');
    draft.text += "\n}\n";
    return draft;
}

}  // namespace callgate
