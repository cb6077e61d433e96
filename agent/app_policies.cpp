#include <spdlog/spdlog.h>

#include <set>

#include "app_parts.h"
#include "base/counted.h"
#include "base/trouble.h"
#include "kernel/scope_cgroups.h"
#include "lifecycle/session_json.h"

namespace callgate {
namespace {

using nlohmann::json;

// On the loop's thread, between two messages: everything that comes after is judged by what was read now.
void put_in_force(App& app, const PolicyWatch::Loaded& loaded) {
    const bool are_new_grants = loaded.grants != app.grants;
    const bool is_news = loaded.policies != app.policies || are_new_grants || loaded.error != app.reload_error;
    app.reload_error = loaded.error;
    if (are_new_grants) {
        app.grants = loaded.grants;
        app.sessions->use_grants(app.grants->table);
        app.audit->event("grants_reload", nullptr, {{"revision", json_text(app.grants->table->revision())}});
        spdlog::info("grants read again: {} in force", app.grants->table->grants().size());
    }
    if (loaded.policies && loaded.policies != app.policies) {
        app.policies = loaded.policies;
        if (app.watcher) app.watcher->use_policies(app.policies);
        app.sessions->use_policies(*app.policies);
        app.http->use_policies(*app.policies);
        app.approvals->use_policies(*app.policies);
        json names = json::object();
        for (const auto& policy : app.policies->policies()) names[policy->name()] = policy->revision();
        app.audit->event("policy_reload", nullptr, {{"policies", names.dump(-1, ' ', true, json::error_handler_t::replace)}});
        spdlog::info("policies read again: {} in force, {}", app.policies->policies().size(),
                     counted(app.policies->problems().size(), "problem"));
    }
    if (is_news) {
        for (const std::string& problem : problems_of(app)) spdlog::error("policy: {}", problem);
        record_problems(app);
    }
    for (const auto& done : loaded.asked) done();
}

}  // namespace

std::vector<std::string> problems_of(const App& app) {
    std::vector<std::string> texts;
    for (const PolicyProblem& problem : app.problems) texts.push_back(problem.text());
    for (const PolicyProblem& problem : app.policies->problems()) texts.push_back(problem.text());
    std::set<std::string> ties;
    if (app.sessions) app.sessions->note_ties(ties);
    if (app.http) app.http->note_ties(ties);
    texts.insert(texts.end(), ties.begin(), ties.end());
    if (app.approvals && !app.approvals->problem().empty()) texts.push_back(app.approvals->problem());
    for (const PolicyProblem& problem : app.grants->problems) texts.push_back(problem.text());
    if (app.sessions && !app.sessions->pins().problem().empty())
        texts.push_back("pins are not kept: " + app.sessions->pins().problem());
    if (app.sessions && !app.sessions->pins().no_room().empty()) {
        texts.push_back("pins: " + app.sessions->pins().no_room() +
                        "; what could not be pinned is denied. \"callgate pins reset\" makes room");
    }
    if (app.audit && !app.audit->trouble().text().empty())
        texts.push_back("audit records are lost: " + app.audit->trouble().text());
    if (app.counters && !app.counters->trouble().text().empty())
        texts.push_back("what limits count would not outlive the agent: " + app.counters->trouble().text());
    if (std::string absent = absent_cgroups(app.config.scope.cgroups); !absent.empty()) texts.push_back("scope: " + absent);
    if (!app.reload_error.empty()) texts.push_back(app.reload_error + "; the policies of before stay in force");
    return texts;
}

void record_problems(App& app) {
    for (const std::string& problem : problems_of(app))
        app.audit->event("policy_problem", nullptr,
                         {{"problem", json(problem).dump(-1, ' ', true, json::error_handler_t::replace)}});
}

Status start_policy_watch(App& app) {
    app.policy_watch =
        TRY(PolicyWatch::start(app.options.config_directory, app.policies, app.grants, [&app](PolicyWatch::Loaded loaded) {
            auto shared = std::make_shared<PolicyWatch::Loaded>(std::move(loaded));
            app.ring->post([&app, shared] { put_in_force(app, *shared); });
        }));
    return {};
}

std::shared_ptr<const Policy> policy_of_unnamed(const App& app) {
    const Mode mode = app.config.deny_unnamed ? Mode::enforce : Mode::observe;
    return Policy::deny_everything("(no policy)", "(no policy)", "No policy names this server any more.", mode);
}

}  // namespace callgate
