// Property: on any arguments that the parser accepts, each condition holds exactly where a plain reading of the same
// arguments by nlohmann::json says so, which has a double for every number with a fraction or an exponent.
#include <algorithm>
#include <nlohmann/json.hpp>
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
    static const std::vector<Asked> kAll = {{{"a"}, "eq", 1},
                                            {{"a"}, "neq", 1},
                                            {{"a"}, "eq", "x"},
                                            {{"a"}, "eq", nullptr},
                                            {{"a"}, "neq", "x"},
                                            {{"a"}, "gt", 10},
                                            {{"a"}, "lte", 10},
                                            {{"a"}, "gte", 2.5},
                                            {{"a"}, "lt", 2.5},
                                            {{"a"}, "in", {1, "x", true}},
                                            {{"a"}, "not_in", {1, "x"}},
                                            {{"a"}, "contains", "x"},
                                            {{"a"}, "contains", 1},
                                            {{"a"}, "exists", true},
                                            {{"a"}, "exists", false},
                                            {{"l", "*"}, "eq", 1},
                                            {{"l", "*"}, "neq", "x"},
                                            {{"l", "0"}, "eq", 1},
                                            {{"l", "1", "n"}, "gt", 10},
                                            {{"l", "*", "n"}, "exists", true},
                                            {{"*"}, "eq", "x"},
                                            {{"*", "*"}, "contains", "x"},
                                            {{"o", "p", "q"}, "eq", true},
                                            {{"o", "*", "q"}, "neq", true}};
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

// As a reader finds it that has no more than a double for a number.
int compare(const Json& a, const Json& b) {
    const double x = a.get<double>(), y = b.get<double>();
    return x < y ? -1 : x > y;
}

bool equals(const Json& seen, const Json& value) {
    if (seen.is_number() && value.is_number()) return compare(seen, value) == 0;
    return seen.type() == value.type() && !seen.is_structured() && seen == value;
}

bool is_one_of(const Json& seen, const Json& values) {
    return std::any_of(values.begin(), values.end(), [&](const Json& each) { return equals(seen, each); });
}

bool met(const Asked& asked, const Json& seen) {
    const std::string& op = asked.op;
    if (op == "exists") return true;
    if (op == "eq") return equals(seen, asked.value);
    if (op == "neq") return !equals(seen, asked.value);
    if (op == "in") return is_one_of(seen, asked.value);
    if (op == "not_in") return !is_one_of(seen, asked.value);
    if (op == "contains") {
        if (!seen.is_string()) return seen.is_array() && is_one_of(asked.value, seen);
        return asked.value.is_string() && seen.get<std::string>().find(asked.value.get<std::string>()) != std::string::npos;
    }
    if (!seen.is_number()) return false;
    const int order = compare(seen, asked.value);
    if (op == "gt") return order > 0;
    if (op == "gte") return order >= 0;
    return op == "lt" ? order < 0 : order <= 0;
}

void values_at(const Json& value, const Steps& steps, size_t at, std::vector<const Json*>& found) {
    if (at == steps.size()) return found.push_back(&value);
    const std::string& step = steps[at];
    if (step == "*") {
#ifdef CANARY
        if (value.is_object()) return;
#endif
        if (value.is_structured())
            for (const Json& each : value) values_at(each, steps, at + 1, found);
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

bool expected(const Asked& asked, const Json& arguments) {
    std::vector<const Json*> found;
    values_at(arguments, asked.steps, 0, found);
    const bool is_met = std::any_of(found.begin(), found.end(), [&](const Json* each) { return met(asked, *each); });
    return asked.op == "exists" ? is_met == asked.value.get<bool>() : is_met;
}

// Some number may be another one than the policy's that a double cannot tell from it.
bool has_close_number(const Asked& asked, const Json& value) {
    if (value.is_structured())
        return std::any_of(value.begin(), value.end(), [&](const Json& each) { return has_close_number(asked, each); });
    const Json values = asked.value.is_array() ? asked.value : Json::array({asked.value});
    return value.is_number_float() && is_one_of(value, values);
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
        // Another reader would find another value: denied, which only a name in another case can bring about, or a number.
        if (verdict.rule == "(unclear arguments)") {
            const bool may_be_named =
                message.arguments != lower_case(message.arguments) || message.arguments.find('\\') != std::string::npos;
            hold(may_be_named || has_close_number(all_asked()[i], arguments), "judge", "unclear without a reason");
            continue;
        }
        hold(expected(all_asked()[i], arguments) == (verdict.action == callgate::Action::deny), "judge", tool.c_str());
    }
    return 0;
}
