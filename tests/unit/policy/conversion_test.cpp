// Properties of the dialects on random policies and random calls: the YAML dialect decides what a plain
// reading of its rules says; converting changes no decision; a rule more never allows more under default
// deny.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "jsonrpc/answer.h"
#include "policy/dialect.h"
#include "policy/json_text.h"
#include "policy/native_form.h"
#include "policy/policy.h"

namespace callgate {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string yaml_scalar(const ordered_json& value, size_t style) {
    if (!value.is_string() || style % 3 == 0) return value.dump();
    const std::string text = value;
    if (style % 3 == 1) return "'" + text + "'";
    const bool is_plain = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_./0123456789") == text.npos && text.size() > 1 &&
                          text[0] > '9' && text != "no";
    return is_plain ? text : value.dump();
}

// Block style, with scalars in one of three spellings.
std::string yaml(const ordered_json& value, size_t indent, size_t style) {
    std::string out;
    if (!value.is_structured()) return " " + yaml_scalar(value, style) + "\n";
    if (value.empty()) return value.is_object() ? " {}\n" : " []\n";
    if (style % 5 == 0 && indent > 4) return " " + value.dump() + "\n";
    out += "\n";
    for (const auto& [key, item] : value.items()) {
        out += std::string(indent, ' ') + (value.is_object() ? yaml_scalar(key, style / 3) + ":" : "-") +
               yaml(item, indent + 2, style + key.size());
    }
    return out;
}

enum class Outcome { allow, deny, approval, limit };

class Conversion : public ::testing::Test {
  protected:
    size_t below(size_t bound) { return random_() % bound; }
    template <typename... Words>
    ordered_json one_of(Words... words) {
        const ordered_json all = {words...};
        return all[below(all.size())];
    }
    ordered_json condition() {
        const std::string op = one_of("eq", "neq", "lt", "lte", "gt", "gte", "exists", "in");
        ordered_json value = below(5);
        if (op == "exists") value = below(2) == 0;
        if (op == "in") value = {below(3), below(5)};
        if (op == "eq" && below(3) == 0) value = one_of("no", "b c", "1");
        return {{"path", one_of("args.x", "args.y")}, {"op", op}, {"value", value}};
    }
    // One of what a rule can be. `scope`: of its counters.
    ordered_json rule(const std::string& scope, int number) {
        ordered_json made = {{"name", "r" + std::to_string(number)}};
        switch (below(8)) {
            case 0: made["action"] = "deny"; break;
            case 1:
                made["action"] = "require_approval";
                if (below(2)) made["conditions"] = {condition()};
                break;
            case 2: made["rate_limit"] = std::to_string(1 + below(4)) + "/" + std::string(one_of("minute", "hour", "day")); break;
            case 3:
            case 4: {
                const std::string counter = "c" + std::to_string(number);
                made["conditions"] = {
                    {{"path", "state." + scope + "." + counter}, {"op", one_of("lt", "lte")}, {"value", 1 + below(9)}}};
                if (below(3) == 0) made["conditions"].push_back(condition());
                made["state"] = {{"counter", counter}, {"window", one_of("minute", "hour", "day")}};
                if (below(3) == 0)
                    made["state"]["increment"] = 1 + below(3);
                else if (below(2) == 0)
                    made["state"]["increment_from"] = "args.x";
                break;
            }
            default:
                made["conditions"] = {condition()};
                if (below(2)) made["conditions"].push_back(condition());
        }
        if (below(3) == 0) made["on_deny"] = "Because of " + std::to_string(number) + ".";
        return made;
    }
    ordered_json rules(const std::string& scope) {
        ordered_json made = ordered_json::array();
        std::map<std::string, bool> rates;
        for (int n = static_cast<int>(below(4)); n > 0; --n) {
            ordered_json one = rule(scope, n);
            const std::string rate = one.value("rate_limit", "/");
            if (rate != "/" && std::exchange(rates[rate.substr(rate.find('/'))], true)) continue;
            made.push_back(std::move(one));
        }
        return made;
    }
    ordered_json policy() {
        ordered_json made = {{"version", "1"}};
        if (below(2)) made["default"] = one_of("allow", "deny");
        if (below(3) == 0) made["hide"] = {one_of("a", "h")};
        for (const char* name : {"a", "b", "c_d"}) {
            if (below(4) > 0) made["tools"][name]["rules"] = rules(name);
        }
        if (below(2)) made["tools"]["*"]["rules"] = rules("_global");
        if (!made.contains("tools")) made["tools"]["a"]["rules"] = ordered_json::array();
        return made;
    }
    json arguments() {
        json made = json::object();
        for (const char* key : {"x", "y"}) {
            if (below(5) > 0) made[key] = below(6) == 0 ? json("b c") : json(below(5));
        }
        return made;
    }
    std::shared_ptr<const Policy> load(const std::string& text, const std::string& file) {
        std::vector<PolicyProblem> problems;
        auto loaded = Policy::load(text, file, problems);
        for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text() << "\n" << text;
        return loaded;
    }
    static std::string converted(const std::string& text, const std::string& file) {
        ProblemList none;
        std::optional<JsonValue> tree = read_policy_tree(text, file, none);
        to_native_form(*tree);
        return json_text(*tree);
    }

    std::mt19937_64 random_{20261128};
    Caller caller_{"g", "s", "p"};
};

// The dialect's own words, read plainly; values are numbers and texts.
class PlainReading {
  public:
    explicit PlainReading(const ordered_json& policy) : policy_(policy) {}

    Outcome judge(const std::string& tool, const json& arguments) {
        for (const auto& hidden : policy_.value("hide", ordered_json::array())) {
            if (hidden == tool) return Outcome::deny;
        }
        const ordered_json& tools = policy_["tools"];
        if (policy_.value("default", "allow") == "deny" && !tools.contains(tool)) return Outcome::deny;
        bool asks = false;
        std::map<std::string, std::pair<int64_t, int64_t>> charges;  // amount, maximum
        for (const std::string& name : {tool, std::string("*")}) {
            if (!tools.contains(name)) continue;
            for (const auto& rule : tools[name]["rules"]) {
                const std::string action = rule.value("action", "evaluate");
                if (action == "deny") return Outcome::deny;
                bool all = true;
                for (const auto& condition : rule.value("conditions", ordered_json::array())) {
                    if (condition["path"].get<std::string>().starts_with("state.")) {
                        const int64_t amount =
                            rule["state"].contains("increment_from") ? amount_of(arguments) : rule["state"].value("increment", 1);
                        charges[condition["path"]] = {amount, condition["value"].get<int64_t>() - (condition["op"] == "lt")};
                    } else {
                        all = all && holds(condition, arguments);
                    }
                }
                if (action == "evaluate" && !all) return Outcome::deny;
                asks = asks || (action == "require_approval" && all);
                if (const std::string rate = rule.value("rate_limit", ""); !rate.empty())
                    charges[name + rate.substr(rate.find('/'))] = {1, std::stoll(rate)};
            }
        }
        if (asks) return Outcome::approval;
        for (const auto& [counter, charge] : charges) {
            if (charge.first < 0) return Outcome::deny;  // an amount that is none
        }
        for (const auto& [counter, charge] : charges) {
            if (counts_[counter] + charge.first > charge.second) return Outcome::limit;
        }
        for (const auto& [counter, charge] : charges) counts_[counter] += charge.first;
        return Outcome::allow;
    }

  private:
    static int64_t amount_of(const json& arguments) {
        return arguments.contains("x") && arguments["x"].is_number() ? arguments["x"].get<int64_t>() : -1;
    }
    static bool holds(const ordered_json& condition, const json& arguments) {
        const std::string op = condition["op"], key = condition["path"].get<std::string>().substr(5);
        const json wanted = condition["value"];
        if (op == "exists") return arguments.contains(key) == wanted.get<bool>();
        if (!arguments.contains(key)) return false;
        const json& value = arguments[key];
        if (op == "eq" || op == "neq") return (value == wanted) == (op == "eq");
        if (op == "in") return std::find(wanted.begin(), wanted.end(), value) != wanted.end();
        if (!value.is_number()) return false;
        const int64_t a = value, b = wanted;
        return op == "lt" ? a < b : op == "lte" ? a <= b : op == "gt" ? a > b : a >= b;
    }

    const ordered_json& policy_;
    std::map<std::string, int64_t> counts_;
};

Outcome outcome_of(const Verdict& verdict) {
    if (verdict.action == Action::allow) return Outcome::allow;
    return verdict.code == kCodeApproval ? Outcome::approval : verdict.code == kCodeOverLimit ? Outcome::limit : Outcome::deny;
}

TEST_F(Conversion, TheYamlDialectDecidesWhatItSays) {
    std::map<Outcome, size_t> seen;
    for (int round = 0; round < 700; ++round) {
        const ordered_json written = policy();
        const std::string text = yaml(written, 0, below(100)).substr(1);
        const auto direct = load(text, "p.yaml");
        const auto native = load(converted(text, "p.yaml"), "p.json");
        ASSERT_TRUE(direct && native);
        PlainReading plain(written);
        CounterTable of_direct, of_native;
        for (int i = 0; i < 30; ++i) {
            const std::string tool = one_of("a", "b", "c_d", "h", "other");
            const json call = arguments();
            const std::string bytes = call.dump();
            const Verdict a = direct->judge_tool({tool, bytes}, caller_, 0, of_direct);
            const Outcome outcome = outcome_of(a);
            const std::string rule(a.rule), reason(a.reason);
            const Verdict b = native->judge_tool({tool, bytes}, caller_, 0, of_native);
            ASSERT_EQ(outcome, plain.judge(tool, call)) << text << tool << bytes << rule;
            ASSERT_EQ(outcome, outcome_of(b)) << text << tool << bytes;
            ASSERT_EQ(rule, b.rule) << text;
            ASSERT_EQ(reason, b.reason) << text;
            ++seen[outcome];
        }
    }
    for (Outcome outcome : {Outcome::allow, Outcome::deny, Outcome::approval, Outcome::limit}) EXPECT_GT(seen[outcome], 350u);
}

TEST_F(Conversion, TheFaqFormDecidesTheSameAfterIt) {
    std::map<Outcome, size_t> seen;
    const std::map<std::string, std::string> spelling = {{"/action", "/deny_if"}, {"/rate_limit", "/limits/rate_limit"}};
    for (int round = 0; round < 600; ++round) {
        ordered_json written = {{"version", "1"}, {"default", one_of("allow", "deny")}};
        for (const char* name : {"a", "b", "glob:c*"}) {
            ordered_json& tool = written["tools"][name] = ordered_json::object();
            if (below(3) == 0) tool["action"] = one_of("allow", "deny", "require_approval");
            if (below(3) == 0) tool["reason"] = "Because.";
            if (below(2)) tool["rate_limit"] = {{"max", below(4)}, {"window", 60}};
            if (below(2)) tool["limits"] = {{{"counter", "c"}, {"window", "day"}, {"max", 1 + below(6)}}};
            for (const char* key : {"deny_if", "require", "require_approval"}) {
                if (below(5) == 0) tool[key] = {{{"conditions", {condition()}}}};
            }
            if (below(8) == 0) tool["deny_if"].push_back({{"conditions", ordered_json::array()}});
        }
        const std::string text = written.dump();
        const auto direct = load(text, "p.json");
        const std::string native_text = converted(text, "p.json");
        ASSERT_EQ(native_text.find("\"action\""), native_text.npos);
        ASSERT_EQ(converted(native_text, "p.json"), native_text);
        const auto native = load(native_text, "p.json");
        ASSERT_TRUE(direct && native);
        CounterTable of_direct, of_native;
        for (int i = 0; i < 20; ++i) {
            const std::string tool = one_of("a", "b", "c1", "c2", "other"), bytes = arguments().dump();
            const Verdict a = direct->judge_tool({tool, bytes}, caller_, 0, of_direct);
            const Verdict b = native->judge_tool({tool, bytes}, caller_, 0, of_native);
            ASSERT_EQ(outcome_of(a), outcome_of(b)) << text << native_text;
            std::string rule(a.rule);
            for (const auto& [end, instead] : spelling) {
                if (!rule.ends_with(end)) continue;
                rule.resize(rule.size() - end.size());
                rule += a.code == kCodeApproval ? "/require_approval" : instead;
            }
            ASSERT_EQ(rule, b.rule) << text;
            ASSERT_EQ(a.charged.size(), b.charged.size());
            ++seen[outcome_of(a)];
        }
    }
    for (Outcome outcome : {Outcome::allow, Outcome::deny, Outcome::approval, Outcome::limit}) EXPECT_GT(seen[outcome], 300u);
}

TEST_F(Conversion, ARuleMoreNeverAllowsMoreUnderDefaultDeny) {
    size_t narrowed = 0;
    for (int round = 0; round < 600; ++round) {
        ordered_json written = policy();
        written["default"] = "deny";
        const auto before = load(yaml(written, 0, 1).substr(1), "p.yaml");
        // A tool that is listed, or all of them; of its counters there are none with these numbers yet.
        std::vector<std::string> names = {"*"};
        for (const auto& [name, tool] : written["tools"].items()) names.push_back(name);
        const std::string name = names[below(names.size())];
        ordered_json added = rule(name == "*" ? "_global" : name, 9);
        if (added.contains("rate_limit")) added["rate_limit"] = "1/second";
        written["tools"][name]["rules"].push_back(added);
        const auto after = load(yaml(written, 0, 1).substr(1), "p.yaml");
        ASSERT_TRUE(before && after);
        for (int i = 0; i < 20; ++i) {
            const std::string tool = one_of("a", "b", "c_d", "h", "other"), bytes = arguments().dump();
            CounterTable fresh, again;
            const bool was = outcome_of(before->judge_tool({tool, bytes}, caller_, 0, fresh)) == Outcome::allow;
            const bool is = outcome_of(after->judge_tool({tool, bytes}, caller_, 0, again)) == Outcome::allow;
            ASSERT_TRUE(was || !is) << written << tool << bytes;
            narrowed += was && !is;
        }
    }
    EXPECT_GT(narrowed, 200u);
}

}  // namespace
}  // namespace callgate
