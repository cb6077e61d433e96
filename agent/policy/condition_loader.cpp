#include "policy/condition_loader.h"

#include <re2/re2.h>

#include "policy/nearest_key.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kConditionPathBytesMax = 1024;

constexpr std::array<std::pair<std::string_view, RuleKind>, 3> kRuleKinds = {
    {{"deny_if", RuleKind::deny_if}, {"require", RuleKind::require}, {"require_approval", RuleKind::require_approval}}};

std::optional<Constant> constant_of(const JsonValue& value) {
    switch (value.kind) {
        case Kind::string: return string_constant(value.string);
        case Kind::integer:
        case Kind::number: return number_constant(value.string);
        case Kind::boolean: return Constant{ValueKind::boolean, value.boolean ? "true" : "false", std::nullopt};
        case Kind::null: return Constant{ValueKind::null, "null", std::nullopt};
        case Kind::array:
        case Kind::object: break;
    }
    return std::nullopt;
}

// The "value" of a condition, as its operator wants it.
class ValueLoader {
  public:
    ValueLoader(const ObjectReader& reader, const JsonValue& value, Condition& condition, LoadBudget& budget)
        : reader_(reader), value_(value), condition_(condition), budget_(budget) {}

    void load() {
        switch (condition_.op) {
            case Operator::eq:
            case Operator::neq:
            case Operator::contains: load_scalar(value_, reader_.path_of("value")); break;
            case Operator::in:
            case Operator::not_in: load_list(); break;
            case Operator::lt:
            case Operator::lte:
            case Operator::gt:
            case Operator::gte: load_number(); break;
            case Operator::regex: load_regex(); break;
            case Operator::exists:
                if (reader_.member("value", Kind::boolean)) condition_.expected = value_.boolean;
                break;
        }
        // Of a mistaken file nothing is judged; what is built must only be whole.
        if (condition_.values.empty()) condition_.values.push_back({});
    }

  private:
    void load_scalar(const JsonValue& value, const std::string& path) {
        if (std::optional<Constant> constant = constant_of(value)) {
            condition_.values.push_back(std::move(*constant));
        } else {
            reader_.problems().add(value.offset, path,
                                   "expected a string, a number, a boolean or null, found " + std::string(name(value.kind)));
        }
    }
    void load_list() {
        if (!reader_.member("value", Kind::array)) return;
        if (value_.items.empty()) reader_.problem("value", "is empty; name at least one value");
        if (value_.items.size() > kConditionValuesMax) {
            return reader_.problem("value", "has more than " + std::to_string(kConditionValuesMax) + " values");
        }
        for (size_t i = 0; i < value_.items.size(); ++i) {
            load_scalar(value_.items[i], join_pointer(reader_.path_of("value"), i));
        }
    }
    void load_number() {
        if (value_.kind == Kind::integer || value_.kind == Kind::number) {
            condition_.values.push_back(number_constant(value_.string));
        } else {
            reader_.problem("value", "expected a number, found " + std::string(name(value_.kind)));
        }
    }
    void load_regex() {
        const std::optional<std::string> text = reader_.text("value");
        if (!text) return;
        if (budget_.regexes == 0) {
            return reader_.problem("value",
                                   "more than " + std::to_string(kPolicyRegexesMax) + " regular expressions in one file");
        }
        --budget_.regexes;
        re2::RE2::Options options;
        options.set_log_errors(false);
        options.set_max_mem(kRegexBytesMax);
        auto pattern = std::make_unique<const re2::RE2>(*text, options);
        if (!pattern->ok()) {
            std::string problem = "is no regular expression of RE2: " + printable(pattern->error(), 200);
            const std::string& fragment = pattern->error_arg();
            if (!fragment.empty() && problem.find(fragment) == problem.npos) problem += ", at " + in_quotes(fragment);
            return reader_.problem("value", std::move(problem));
        }
        condition_.pattern = std::move(pattern);
    }

    const ObjectReader& reader_;
    const JsonValue& value_;
    Condition& condition_;
    LoadBudget& budget_;
};

class RuleLoader {
  public:
    RuleLoader(const ObjectReader& tool, ToolEntry& entry, LoadBudget& budget)
        : tool_(tool), entry_(entry), budget_(budget), rules_(std::make_unique<RuleSet>()) {}

    void load() {
        for (const auto& [key, kind] : kRuleKinds) {
            const JsonValue* array = tool_.member(key, Kind::array);
            if (!array) continue;
            each_object(*array, tool_.path_of(key), tool_.problems(),
                        [&, kind = kind](const JsonValue& item, const std::string& path) { load_rule(item, path, kind); });
        }
        budget_.asks_for_annotations |= !rules_->annotations.empty();
        if (!rules_->rules.empty()) entry_.rules = std::move(rules_);
    }

  private:
    std::string_view key_of(RuleKind kind) const { return kRuleKinds[static_cast<size_t>(kind)].first; }

    void load_rule(const JsonValue& value, const std::string& path, RuleKind kind) {
        const ObjectReader reader(value, path, known::kConditionRule, tool_.problems());
        reader.require("conditions");
        reader.member(kCommentKey, Kind::string);
        const JsonValue* array = reader.member("conditions", Kind::array);
        ConditionRule rule;
        rule.kind = kind;
        rule.place = tool_.problems().as_written(path);
        rule.reason = reason_of(reader.text("on_deny").value_or(""), kind);
        if (!array) return;
        if (array->items.empty()) return always(rule);
        rule.first = static_cast<uint32_t>(rules_->conditions.size());
        each_object(*array, reader.path_of("conditions"), tool_.problems(),
                    [&](const JsonValue& item, const std::string& item_path) { load_condition(item, item_path, kind); });
        rule.count = static_cast<uint32_t>(rules_->conditions.size()) - rule.first;
        if (rule.count == 0) return;  // each of them has been reported
        rule.rule = rules_->conditions[rule.first].rule;
        rules_->add_rule(std::move(rule));
    }
    // No conditions: they hold for every call.
    void always(ConditionRule& rule) {
        FixedDenial denial{tool_.path_of(key_of(rule.kind)), std::move(rule.reason)};
        if (rule.kind == RuleKind::deny_if && !entry_.denial) entry_.denial = std::move(denial);
        if (rule.kind == RuleKind::require_approval && !entry_.approval) entry_.approval = std::move(denial);
    }
    std::string reason_of(std::string given, RuleKind kind) const {
        if (kind == RuleKind::require_approval) return approval_sentence(entry_, std::move(given));
        if (!given.empty()) return given;
        if (kind == RuleKind::deny_if) return denied_sentence(entry_);
        return entry_.subject() + " is called without what the policy requires.";
    }
    void load_condition(const JsonValue& value, const std::string& path, RuleKind kind) {
        if (rules_->conditions.size() >= kConditionsPerToolMax) {
            return tool_.problems().add(value.offset, path,
                                        "more than " + std::to_string(kConditionsPerToolMax) + " conditions for one tool");
        }
        const ObjectReader reader(value, path, known::kCondition, tool_.problems());
        for (std::string_view key : {"path", "op", "value"}) reader.require(key);
        Condition condition;
        condition.path = reader.word("path", kConditionPathBytesMax).value_or("");
        const std::optional<Operator> op = reader.choice("op", kOperators);
        const JsonValue* given = value.find("value");
        if (!op || !given) return;
        condition.op = *op;
        ValueLoader(reader, *given, condition, budget_).load();
        if (condition.path.empty()) return;
        std::string problem;
        const std::optional<ConditionPath> where = parse_condition_path(condition.path, problem);
        if (!where) return reader.problem("path", std::move(problem));
        condition.rule = join_pointer(tool_.path_of(key_of(kind)), condition.path + "-" + std::string(name(*op)));
        rules_->add(std::move(condition), *where);
    }

    const ObjectReader& tool_;
    ToolEntry& entry_;
    LoadBudget& budget_;
    std::unique_ptr<RuleSet> rules_;
};

}  // namespace

std::string denied_sentence(const ToolEntry& entry) { return entry.subject() + " is denied by the policy."; }

std::string approval_sentence(const ToolEntry& entry, std::string reason) {
    if (reason.empty()) return entry.subject() + " needs the approval of a human.";
    return reason + " A human must approve this call.";
}

void load_condition_rules(const ObjectReader& tool, ToolEntry& entry, LoadBudget& budget) {
    RuleLoader(tool, entry, budget).load();
}

}  // namespace callgate
