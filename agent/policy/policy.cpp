#include "policy/policy.h"

#include <algorithm>

#include "base/limits.h"
#include "jsonrpc/classify.h"
#include "policy/compiled_policy.h"
#include "policy/dialect.h"
#include "policy/loader.h"
#include "policy/policy_name.h"
#include "policy/problem_list.h"
#include "policy/revision.h"

namespace callgate {
std::string_view mode_name(Mode mode) {
    switch (mode) {
        case Mode::enforce: return "enforce";
        case Mode::shadow: return "shadow";
        case Mode::observe: return "observe";
    }
    return "";
}

Policy::Policy() : compiled_(std::make_unique<CompiledPolicy>()) {}
Policy::~Policy() = default;

std::shared_ptr<const Policy> Policy::load(std::string_view text, std::string_view file, std::vector<PolicyProblem>& problems) {
    ProblemList found;
    std::shared_ptr<Policy> policy(new Policy);
    if (const std::optional<JsonValue> root = read_policy_tree(text, file, found)) {
        load_document(*root, *policy->compiled_, found);
    }
    if (!found.empty()) {
        found.report(text, file, problems);
        return nullptr;
    }
    policy->compiled_->name = policy_name_of(file);
    policy->compiled_->revision = revision_of(text);
    return policy;
}

std::shared_ptr<const Policy> Policy::deny_everything(std::string name, std::string rule, std::string reason, Mode mode,
                                                      std::string tied) {
    std::shared_ptr<Policy> policy(new Policy);
    policy->compiled_->revision = revision_of(name);
    policy->compiled_->name = std::move(name);
    policy->compiled_->tied = std::move(tied);
    policy->compiled_->mode = mode;
    policy->compiled_->hides_any = policy->compiled_->hide_all = true;
    policy->compiled_->blanket = FixedDenial{std::move(rule), std::move(reason)};
    return policy;
}

const std::string& Policy::name() const { return compiled_->name; }
const std::string& Policy::tied() const { return compiled_->tied; }
const std::string& Policy::revision() const { return compiled_->revision; }
const ServerMatch& Policy::match() const { return compiled_->match; }
Mode Policy::mode() const { return compiled_->mode; }
OnBlind Policy::on_blind() const { return compiled_->on_blind; }
Fail Policy::fail() const { return compiled_->fail; }
DenyAs Policy::deny_as() const { return compiled_->deny_as; }
bool Policy::hides_any() const { return compiled_->hides_any; }

bool Policy::says_anything_of_methods() const { return !compiled_->methods.empty() || !compiled_->method_families.empty(); }

bool Policy::says_anything_of_method(std::string_view method) const {
    return compiled_->find_method(method) != nullptr || compiled_->is_nearly_known(method);
}

bool Policy::says_anything_of_clients_method(std::string_view method) const {
    return compiled_->find_carrier(method) != nullptr || says_anything_of_method(method);
}

bool Policy::names_other_methods() const {
    const auto is_other = [](const auto& entry) { return !is_mcp_method(entry.first); };
    const auto is_other_family = [](const MethodEntry& family) {
        const std::string_view begin = std::string_view(family.own.key).substr(0, family.own.key.size() - 1);
        return begin != "notifications/" && !is_mcp_method(begin);
    };
    return std::any_of(compiled_->methods.begin(), compiled_->methods.end(), is_other) ||
           std::any_of(compiled_->carriers.begin(), compiled_->carriers.end(), is_other) ||
           std::any_of(compiled_->method_families.begin(), compiled_->method_families.end(), is_other_family);
}

bool Policy::asks_for_annotations() const { return compiled_->asks_for_annotations; }

bool Policy::pins_any() const { return compiled_->pins_any; }

bool Policy::pins(std::string_view tool) const {
    if (!compiled_->pins_any) return false;
    const std::string_view own_name = compiled_->own_name(tool);
    return compiled_->pins(compiled_->tools.find_governing(own_name, compiled_->tools.find_exact(own_name)));
}

bool Policy::is_hidden(std::string_view tool) const {
    const std::string_view own_name = compiled_->own_name(tool);
    return compiled_->is_hidden(tool) || (own_name != tool && compiled_->is_hidden(own_name));
}

}  // namespace callgate
