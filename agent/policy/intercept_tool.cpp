#include "policy/intercept_tool.h"

#include <algorithm>
#include <array>

#include "policy/intercept_counters.h"
#include "policy/json_edit.h"
#include "policy/nearest_key.h"
#include "policy/object_reader.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;
using Word = std::string_view;

enum class RuleAction : uint8_t { evaluate, deny, require_approval };
constexpr std::array<std::pair<Word, RuleAction>, 3> kActions = {
    {{"evaluate", RuleAction::evaluate}, {"deny", RuleAction::deny}, {"require_approval", RuleAction::require_approval}}};

constexpr std::array<Word, 2> kToolKeys = {"rules", kCommentKey};
constexpr std::array<Word, 7> kRuleKeys = {"name", "action", "conditions", "on_deny", "state", "rate_limit", "approval_timeout"};
const KnownKeys kTool{"tool", kToolKeys, {}}, kRule{"rule", kRuleKeys, {}};

class ToolTranslator {
  public:
    ToolTranslator(const JsonValue& tool, const InterceptPlace& place, ProblemList& problems)
        : tool_(tool), place_(place), problems_(problems), counters_(place, problems) {}

    JsonValue translate() {
        JsonValue native = made_at(tool_, Kind::object);
        const ObjectReader reader(tool_, place_.path, kTool, problems_);
        if (const JsonValue* comment = reader.member(kCommentKey, Kind::string)) put(native, kCommentKey, *comment);
        if (const JsonValue* rules = reader.member("rules", Kind::array)) {
            each_object(*rules, reader.path_of("rules"), problems_,
                        [&](const JsonValue& item, const std::string& path) { rule(item, path); });
        }
        for (auto& [key, list] : lists_) {
            if (!list.items.empty()) put(native, key, std::move(list));
        }
        JsonValue limits = counters_.limits(tool_);
        if (!limits.items.empty()) put(native, "limits", std::move(limits));
        if (approval_timeout_) put(native, "approval_timeout", *approval_timeout_);
        return native;
    }

  private:
    static Word key_of(RuleAction action) {
        return action == RuleAction::evaluate ? "require" : action == RuleAction::deny ? "deny_if" : "require_approval";
    }

    void rule(const JsonValue& value, const std::string& path) {
        const ObjectReader reader(value, path, kRule, problems_);
        reader.require("name");
        InterceptRule rule{path, reader.word("name", kPolicyTextBytesMax).value_or(""), &value,
                           reader.member("on_deny", Kind::string)};
        const RuleAction action = reader.choice("action", kActions).value_or(RuleAction::evaluate);
        const JsonValue* conditions = reader.member("conditions", Kind::array);
        const JsonValue* state = reader.member("state", Kind::object);
        check_members(reader, action, conditions);
        if (action == RuleAction::require_approval) take_timeout(reader);
        if (reader.has("rate_limit")) return counters_.rate_limit(rule, *value.find("rate_limit"));
        if (state && action == RuleAction::evaluate) counters_.state(rule, *state);
        std::vector<JsonValue> kept;
        std::vector<size_t> from;  // index of each in the file
        for (size_t i = 0; conditions && i < conditions->items.size(); ++i) {
            const JsonValue& condition = conditions->items[i];
            if (counters_.is_about_counter(condition)) {
                about_counter(rule, action, condition, join_pointer(reader.path_of("conditions"), i));
            } else {
                kept.push_back(condition);
                from.push_back(i);
            }
        }
        const bool asks_nothing_else = action == RuleAction::evaluate && kept.empty();
        if (!asks_nothing_else) add(rule, action, std::move(kept), from);
    }

    void about_counter(const InterceptRule& rule, RuleAction action, const JsonValue& condition, const std::string& path) {
        if (action == RuleAction::evaluate) return counters_.condition(rule, condition, path);
        problems_.add(condition.offset, path,
                      "a counter can only be compared by a rule that evaluates: as the maximum of what it counts");
    }

    // What may not stand together.
    void check_members(const ObjectReader& reader, RuleAction action, const JsonValue* conditions) {
        if (reader.has("rate_limit")) {
            for (Word key : {"conditions", "state"}) {
                if (reader.has(key))
                    reader.problem("rate_limit", "not together with " + in_quotes(key) + "; make it a rule of its own");
            }
            if (action != RuleAction::evaluate) {
                reader.problem("rate_limit",
                               "not together with action: " + std::string(kActions[static_cast<size_t>(action)].first) +
                                   "; make it a rule of its own");
            }
        } else if (action == RuleAction::evaluate && !reader.has("conditions")) {
            reader.problem("", "key \"conditions\" is missing; a rule that evaluates has at least one");
        } else if (action == RuleAction::evaluate && conditions && conditions->items.empty()) {
            reader.problem("conditions", "is empty; a rule that evaluates has at least one condition, which must be true");
        }
        if (action == RuleAction::deny && conditions && !conditions->items.empty()) {
            reader.problem("conditions",
                           "a rule with action: deny denies every call; leave the conditions out, or leave "
                           "the action out and "
                           "say what must be true");
        }
        if (action != RuleAction::evaluate && reader.has("state")) {
            reader.problem("state", "only a rule that evaluates counts; make it a rule of its own");
        }
        if (action != RuleAction::require_approval && reader.has("approval_timeout")) {
            reader.problem("approval_timeout", "means something only with action: require_approval");
        }
    }

    void take_timeout(const ObjectReader& reader) {
        const JsonValue* value = reader.member("approval_timeout", Kind::string);
        if (!value) return;
        if (approval_timeout_ && approval_timeout_->string != value->string) {
            return reader.problem("approval_timeout", "another rule of this tool says " + in_quotes(approval_timeout_->string) +
                                                          "; a tool has one, for one approval is for all of its rules");
        }
        if (!approval_timeout_)
            problems_.moved(join_pointer(place_.native, "approval_timeout"), reader.path_of("approval_timeout"));
        approval_timeout_ = value;
    }

    void add(const InterceptRule& rule, RuleAction action, std::vector<JsonValue> conditions, const std::vector<size_t>& from) {
        JsonValue& list = lists_[static_cast<size_t>(action)].second;
        const std::string native = join_pointer(join_pointer(place_.native, key_of(action)), list.items.size());
        problems_.moved(native, rule.path);
        for (size_t i = 0; i < from.size(); ++i) {
            if (from[i] == i) continue;
            problems_.moved(join_pointer(native + "/conditions", i), join_pointer(rule.path + "/conditions", from[i]));
        }
        JsonValue made = made_at(*rule.value, Kind::object);
        put(made, kCommentKey, made_text(*rule.value, rule.name));
        JsonValue all = made_at(*rule.value, Kind::array);
        all.items = std::move(conditions);
        put(made, "conditions", std::move(all));
        if (rule.on_deny) put(made, "on_deny", *rule.on_deny);
        list.items.push_back(std::move(made));
    }

    JsonValue empty_list() const { return made_at(tool_, Kind::array); }

    const JsonValue& tool_;
    const InterceptPlace& place_;
    ProblemList& problems_;
    InterceptCounters counters_;
    const JsonValue* approval_timeout_ = nullptr;
    std::array<std::pair<Word, JsonValue>, 3> lists_ = {{{key_of(RuleAction::evaluate), empty_list()},
                                                         {key_of(RuleAction::deny), empty_list()},
                                                         {key_of(RuleAction::require_approval), empty_list()}}};
};

}  // namespace

JsonValue native_tool(const JsonValue& tool, const InterceptPlace& place, ProblemList& problems) {
    return ToolTranslator(tool, place, problems).translate();
}

}  // namespace callgate
