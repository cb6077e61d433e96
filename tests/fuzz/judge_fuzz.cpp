// Property: on any arguments that the parser accepts, each condition holds exactly where a plain reading of the same
// arguments by nlohmann::json says so.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jsonrpc/message.h"
#include "policy/policy.h"
#include "property.h"

namespace {

using Json = nlohmann::json;
using Steps = std::vector<std::string>;

struct Asked {
    Steps steps;
    std::string op;
    Json value;
};

const std::vector<Asked>& all_asked() {
    static const std::vector<Asked> kAll = {
        {{"a"}, "eq", 1},          {{"a"}, "neq", 1},        {{"a"}, "eq", "x"},       {{"a"}, "eq", nullptr},   {{"a"}, "neq", "x"},
        {{"a"}, "gt", 10},         {{"a"}, "lte", 10},       {{"a"}, "gte", 2.5},      {{"a"}, "lt", 2.5},       {{"a"}, "in", {1, "x", true}},
        {{"a"}, "not_in", {1, "x"}}, {{"a"}, "contains", "x"}, {{"a"}, "contains", 1},   {{"a"}, "exists", true},  {{"a"}, "exists", false},
        {{"l", "*"}, "eq", 1},     {{"l", "*"}, "neq", "x"}, {{"l", "0"}, "eq", 1},    {{"l", "1", "n"}, "gt", 10}, {{"l", "*", "n"}, "exists", true},
        {{"*"}, "eq", "x"},        {{"*", "*"}, "contains", "x"}, {{"o", "p", "q"}, "eq", true}, {{"o", "*", "q"}, "neq", true}};
    return kAll;
}

std::shared_ptr<const callgate::Policy> make_policy() {
    Json text = {{"version", "1"}, {"default", "deny"}};
    for (size_t i = 0; i < all_asked().size(); ++i) {
        const Asked& asked = all_asked()[i];
        std::string path = "args";
        for (const std::string& step : asked.steps) path += "." + step;
        const Json condition = {{"path", path}, {"op", asked.op}, {"value", asked.value}};
        text["tools"]["t" + std::to_string(i)]["deny_if"] = Json::array({{{"conditions", Json::array({condition})}}});
    }
    std::vector<callgate::PolicyProblem> problems;
    auto policy = callgate::Policy::load(text.dump(), "f.json", problems);
    hold(policy != nullptr, "judge", "the policy does not load");
    return policy;
}

// Nothing where a double cannot tell.
std::optional<int> compare(const Json& a, const Json& b) {
    if (a.is_number_integer() && b.is_number_integer() && !a.is_number_unsigned()) {
        return a.get<int64_t>() < b.get<int64_t>() ? -1 : a.get<int64_t>() > b.get<int64_t>();
    }
    const double x = a.get<double>(), y = b.get<double>();
    if (x != y) return x < y ? -1 : 1;
    return a.is_number_float() ? std::nullopt : std::optional<int>(0);
}

std::optional<bool> equals(const Json& seen, const Json& value) {
    if (seen.is_number() && value.is_number()) {
        const auto order = compare(seen, value);
        return order ? std::optional<bool>(*order == 0) : std::nullopt;
    }
    return seen.type() == value.type() && !seen.is_structured() && seen == value;
}

std::optional<bool> met(const Asked& asked, const Json& seen) {
    const std::string& op = asked.op;
    if (op == "exists") return true;
    if (op == "eq") return equals(seen, asked.value);
    if (op == "neq") {
        const auto equal = equals(seen, asked.value);
        return equal ? std::optional<bool>(!*equal) : std::nullopt;
    }
    if (op == "in" || op == "not_in") {
        for (const Json& each : asked.value) {
            const auto equal = equals(seen, each);
            if (!equal) return std::nullopt;
            if (*equal) return op == "in";
        }
        return op == "not_in";
    }
    if (op == "contains") {
        if (seen.is_string()) return asked.value.is_string() && seen.get<std::string>().find(asked.value.get<std::string>()) != std::string::npos;
        if (!seen.is_array()) return false;
        for (const Json& each : seen) {
            const auto equal = equals(each, asked.value);
            if (!equal || *equal) return equal;
        }
        return false;
    }
    if (!seen.is_number()) return false;
    const auto order = compare(seen, asked.value);
    if (!order) return std::nullopt;
    if (op == "gt") return *order > 0;
    if (op == "gte") return *order >= 0;
    return op == "lt" ? *order < 0 : *order <= 0;
}

void values_at(const Json& value, const Steps& steps, size_t at, std::vector<const Json*>& found) {
    if (at == steps.size()) return found.push_back(&value);
    const std::string& step = steps[at];
    if (step == "*") {
#ifdef CANARY
        if (value.is_object()) return;
#endif
        if (value.is_structured()) for (const Json& each : value) values_at(each, steps, at + 1, found);
    } else if (value.is_object() && value.contains(step)) {
        values_at(value[step], steps, at + 1, found);
    } else if (value.is_array() && (step == "0" || step == "1") && value.size() > static_cast<size_t>(step[0] - '0')) {
        values_at(value[static_cast<size_t>(step[0] - '0')], steps, at + 1, found);
    }
}

std::string lower_case(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return out;
}

std::optional<bool> expected(const Asked& asked, const Json& arguments) {
    std::vector<const Json*> found;
    values_at(arguments, asked.steps, 0, found);
    bool unsure = false;
    for (const Json* each : found) {
        const auto holds = met(asked, *each);
        if (holds && *holds) return asked.op == "exists" ? asked.value.get<bool>() : true;
        unsure |= !holds;
    }
    if (unsure) return std::nullopt;
    return asked.op == "exists" ? !asked.value.get<bool>() : false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const auto policy = make_policy();
    static callgate::MessageParser parser;
    const std::string line = R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":)" +
                             std::string(reinterpret_cast<const char*>(data), size) + "}}";
    const callgate::Message& message = parser.parse(line, callgate::JsonText::document);
    if (message.kind != callgate::MessageKind::request || message.name != "t") return 0;
    const Json arguments = message.arguments.empty() ? Json::object() : Json::parse(message.arguments, nullptr, false);
    if (arguments.is_discarded()) return 0;
    callgate::CounterTable counters;
    for (size_t i = 0; i < all_asked().size(); ++i) {
        const std::string tool = "t" + std::to_string(i);
        const auto verdict = policy->judge_tool({tool, message.arguments}, {"g", "s", "v"}, 0, counters);
        // A lenient reader would find another value: denied, which only a name in another case can bring about.
        if (verdict.rule == "(unclear arguments)") {
            hold(message.arguments != lower_case(message.arguments) || message.arguments.find('\\') != std::string::npos, "judge", "unclear without a reason");
            continue;
        }
        const auto holds = expected(all_asked()[i], arguments);
        if (holds) hold(*holds == (verdict.action == callgate::Action::deny), "judge", tool.c_str());
    }
    return 0;
}
