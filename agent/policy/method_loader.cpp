#include "policy/method_loader.h"

#include <algorithm>

#include "base/limits.h"
#include "policy/nearest_key.h"
#include "policy/object_reader.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;

constexpr std::string_view kParams = "params.";

bool check_method_name(const JsonKey& key, const std::string& path, ProblemList& problems) {
    std::string message;
    std::string_view name = key.name;
    if (name.ends_with(kFamilyEnd)) name.remove_suffix(kFamilyEnd.size());
    if (name.empty() || name.size() > kNameBytesMax || has_control_character(name)) {
        message = "is no name of a method";
    } else if (name.find('*') != name.npos) {
        message = "only a whole family can be named, as in \"tasks/*\"";
    } else if (key.name == "tools/call" || key.name == "tools/*") {
        message = "tools are named under \"tools\"; all of them together under \"all_tools\"";
    }
    if (message.empty()) return true;
    problems.add(key.offset, path, std::move(message));
    return false;
}

// "params.calls[*].name" and "params.calls.*.name" are the same.
std::optional<std::vector<PathStep>> carrier_path(std::string_view text, std::string& problem) {
    if (!text.starts_with(kParams)) {
        problem = "expected the path of a call's name, such as \"params.calls[*].name\"";
        return std::nullopt;
    }
    std::string dotted(text.substr(kParams.size()));
    for (size_t at = dotted.find("[*]"); at != dotted.npos; at = dotted.find("[*]", at)) dotted.replace(at, 3, ".*");
    std::optional<std::vector<PathStep>> steps = parse_path_steps(dotted, problem);
    if (!steps) return std::nullopt;
    if (!steps->back().any && (steps->size() == 1 || steps->at(steps->size() - 2).any)) return steps;
    problem = "must end with the name of a member, of params or of each element: \"params.calls[*].name\"";
    return std::nullopt;
}

}  // namespace

void load_methods(const JsonValue& object, const std::string& path, CompiledPolicy& policy, LoadBudget& budget,
                  ProblemList& problems) {
    for (size_t i = 0; i < object.items.size(); ++i) {
        const JsonKey& key = object.keys[i];
        const JsonValue& value = object.items[i];
        if (key.name == kCommentKey && value.kind == Kind::string) continue;
        const std::string method_path = join_pointer(path, key.name);
        const bool named = check_method_name(key, method_path, problems);
        MethodEntry entry;
        entry.own.key = entry.own.method = key.name;
        load_tool(value, method_path, entry.own, budget, problems, known::kMethod);
        const JsonValue* names = value.find("names");
        if (names && expect(Kind::object, *names, join_pointer(method_path, "names"), problems)) {
            entry.has_names = true;
            load_entries(*names, join_pointer(method_path, "names"), key.name, entry.names, budget, problems);
        }
        if (!named) continue;
        if (key.name.ends_with(kFamilyEnd)) {
            policy.method_families.push_back(std::move(entry));
        } else {
            policy.methods[key.name] = std::move(entry);
        }
    }
    // The longest family that fits governs.
    std::stable_sort(policy.method_families.begin(), policy.method_families.end(),
                     [](const MethodEntry& a, const MethodEntry& b) { return a.own.key.size() > b.own.key.size(); });
}

void load_call_methods(const JsonValue& object, const std::string& path, CompiledPolicy& policy, ProblemList& problems) {
    for (size_t i = 0; i < object.items.size(); ++i) {
        const JsonKey& key = object.keys[i];
        const std::string method_path = join_pointer(path, key.name);
        if (key.name.ends_with(kFamilyEnd)) {
            problems.add(key.offset, method_path, "expected the name of one method");
        } else if (!check_method_name(key, method_path, problems) ||
                   !expect(Kind::string, object.items[i], method_path, problems)) {
            continue;
        }
        std::string problem;
        std::optional<std::vector<PathStep>> steps = carrier_path(object.items[i].string, problem);
        if (!steps) {
            problems.add(object.items[i].offset, method_path, std::move(problem));
            continue;
        }
        policy.carriers[key.name] = std::move(*steps);
    }
}

void load_aliases(const JsonValue& object, const std::string& path, CompiledPolicy& policy, ProblemList& problems) {
    for (size_t i = 0; i < object.items.size(); ++i) {
        const JsonKey& key = object.keys[i];
        const JsonValue& value = object.items[i];
        const std::string alias_path = join_pointer(path, key.name);
        if (key.name == kCommentKey || !expect(Kind::string, value, alias_path, problems)) {
            if (key.name == kCommentKey) expect(Kind::string, value, alias_path, problems);
            continue;
        }
        std::string message;
        const ToolEntry* own = policy.tools.find_exact(key.name);
        if (key.name.empty() || key.name.size() > kNameBytesMax || has_control_character(key.name)) {
            message = "is no name of a tool";
        } else if (own && own->listed) {
            message = in_quotes(key.name) + " has rules of its own under \"tools\"; remove one of the two";
        } else if (!policy.tools.find_exact(value.string)) {
            message = in_quotes(value.string) + " is neither under \"tools\" nor hidden";
        }
        if (message.empty()) {
            policy.aliases[key.name] = value.string;
        } else {
            problems.add(key.offset, alias_path, std::move(message));
        }
    }
}

}  // namespace callgate
